/** A login page that answers 200 is not the service: it does not number its answers. */
import type { RequestPolicyFactory } from '@azure/storage-blob';
import { malformedAnswer } from '@litestream/core';

export const requireProof: RequestPolicyFactory = {
  create: (next) => ({
    sendRequest: async (request) => {
      const response = await next.sendRequest(request);
      const isSuccess = response.status >= 200 && response.status < 300;
      if (!isSuccess || response.headers.contains('x-ms-request-id')) return response;
      (response.readableStreamBody as { destroy?: () => void } | undefined)?.destroy?.();
      throw malformedAnswer('abs', 'it is not from the service');
    },
  }),
};
