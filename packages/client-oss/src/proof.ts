import { isLitestreamError, malformedAnswer } from '@litestream/core';
import type OssSdk from 'ali-oss';

/**
 * Makes the SDK reject with `UNAVAILABLE` for an answer that the service did not give: the service numbers each one, and a
 * login page that answers 200 does not. The SDK itself goes by the status alone.
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
  // Makes an error of what the HTTP library throws.
  sdk.requestError = async (failure) => (isLitestreamError(failure) ? failure : await requestError(failure));
  return client;
}

/** What the SDK's types leave out. */
interface Inside {
  urllib: { request(url: unknown, params: unknown): Promise<Answer> };
  requestError(failure: unknown): Promise<unknown>;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  /** Of a download: its stream. */
  readonly res?: { readonly destroy?: () => void };
}
