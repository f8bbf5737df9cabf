/** Tells answers of the service from a login page with status 200: only the service numbers its answers. */
import type { RequestPolicyFactory, WebResource } from '@azure/storage-blob';
import { malformedAnswer } from '@litestream/core/client';

export const requireProof: RequestPolicyFactory = {
  create: (next) => ({
    sendRequest: async (request) => {
      const tooLong = limitLength(request);
      let response;
      try {
        response = await next.sendRequest(request);
      } catch (error) {
        throw tooLong.aborted ? tooLong.reason : error;
      }
      const isSuccess = response.status >= 200 && response.status < 300;
      if (!isSuccess || response.headers.contains('x-ms-request-id')) return response;
      (response.readableStreamBody as { destroy?: () => void } | undefined)?.destroy?.();
      throw malformedAnswer('abs', 'it is not from the service');
    },
  }),
};

/** In bytes. A page of a listing has 5000 blobs, of some KiB each. */
const DOCUMENT_SIZE_MAX = 64 << 20;

/**
 * The SDK collects each body except those of downloads: an endless body would fill the memory. Returns a signal that is
 * aborted if the body is too long.
 */
function limitLength(request: WebResource): AbortSignal {
  const limit = new AbortController();
  if ((request.streamResponseStatusCodes?.size ?? 0) > 0) return limit.signal;
  const { abortSignal, onDownloadProgress } = request;
  request.abortSignal =
    abortSignal === undefined ? limit.signal : AbortSignal.any([abortSignal as AbortSignal, limit.signal]);
  request.onDownloadProgress = (progress) => {
    onDownloadProgress?.(progress);
    if (progress.loadedBytes > DOCUMENT_SIZE_MAX) limit.abort(malformedAnswer('abs', 'it is too long'));
  };
  return limit.signal;
}
