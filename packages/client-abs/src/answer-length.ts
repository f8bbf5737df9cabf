/** Accepts answers without Content-Length, which the SDK refuses: proxies that send bodies in chunks drop that header. */
import type { RequestPolicy, RequestPolicyFactory } from '@azure/storage-blob';

/** More bytes than any blob has. The service answers with the existing bytes, and states where they end. */
export const TO_THE_END: number = 2 ** 50;

/** Whether the SDK threw this error because the answer to a download states no length. */
export function lacksLength(error: unknown): boolean {
  return error instanceof RangeError && error.message.includes('content length');
}

/**
 * Takes the length from Content-Range, which every answer to a range has. The SDK lets a policy see answers before it has
 * read their headers only if the class of its factory has this name.
 */
class InjectorPolicyFactory implements RequestPolicyFactory {
  create(next: RequestPolicy): RequestPolicy {
    return {
      sendRequest: async (request) => {
        const response = await next.sendRequest(request);
        const [, first, last] = /^bytes (\d+)-(\d+)\//.exec(response.headers.get('content-range') ?? '') ?? [];
        if (response.headers.get('content-length') === undefined && first !== undefined) {
          response.headers.set('content-length', String(Number(last) - Number(first) + 1));
        }
        return response;
      },
    };
  }
}

export const lengthFromRange: RequestPolicyFactory = new InjectorPolicyFactory();
