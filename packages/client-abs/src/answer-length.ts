/** The SDK refuses answers without Content-Length, which proxies that cut bodies into chunks send. */
import type { RequestPolicy, RequestPolicyFactory } from '@azure/storage-blob';

/** More than any blob holds. The service answers with what there is, and says where that ends. */
export const TO_THE_END: number = 2 ** 50;

/** What the SDK throws for a download whose answer does not say how long it is. */
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
