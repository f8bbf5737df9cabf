import { isLitestreamError, malformedAnswer } from '@litestream/core/client';
import type OssSdk from 'ali-oss';

/**
 * Makes the SDK reject with `UNAVAILABLE` if an answer is not from the service: the service numbers its answers, and a login
 * page with status 200 does not. The SDK itself checks only the status.
 */
export function requireProof(client: OssSdk): OssSdk {
  const sdk = client as unknown as Inside;
  const { urllib } = sdk;
  const requestError = sdk.requestError.bind(client);
  sdk.urllib = {
    request: async (url, params) => {
      const answer = await urllib.request(url, params);
      if (answer.status < 200 || answer.status > 299 || 'x-oss-request-id' in answer.headers) return answer;
      answer.res?.destroy?.();
      throw malformedAnswer('oss', 'it is not from the service');
    },
  };
  // Turns a failure of the HTTP library into an error.
  sdk.requestError = async (failure) => (isLitestreamError(failure) ? failure : await requestError(failure));
  return client;
}

/** Members that the SDK's types leave out. */
interface Inside {
  urllib: { request(url: unknown, params: unknown): Promise<Answer> };
  requestError(failure: unknown): Promise<unknown>;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  /** The stream of a download. */
  readonly res?: { readonly destroy?: () => void };
}
