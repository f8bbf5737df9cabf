import { LitestreamError, classifyNetworkError, isLitestreamError, safeCause } from '@litestream/core';
import type { ErrorClass } from '@litestream/core';

/** Status codes of the SFTP protocol, version 3 (draft-ietf-secsh-filexfer-02, section 7). */
export const SFTP_STATUS = {
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  noConnection: 6,
  connectionLost: 7,
  unsupported: 8,
  /** From later versions of the protocol; some servers use it in version 3, too. */
  fileAlreadyExists: 11,
} as const;

/** Classifies an error of the SSH library, of the SFTP protocol or of a socket. `undefined` if it is unknown. */
export function classifySftpError(error: unknown): ErrorClass | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, level, message } = error as { code?: unknown; level?: unknown; message?: unknown };
  switch (code) {
    case SFTP_STATUS.noSuchFile:
      return { code: 'NOT_FOUND', retryable: false };
    case SFTP_STATUS.permissionDenied:
      return { code: 'PERMISSION_DENIED', retryable: false, hint: 'Let the user write in the replica’s folder.' };
    case SFTP_STATUS.failure:
      return {
        code: 'UNAVAILABLE',
        retryable: true,
        hint: 'Check whether the disk of the server is full, or a quota is reached.',
      };
    case SFTP_STATUS.noConnection:
    case SFTP_STATUS.connectionLost:
      return { code: 'NETWORK', retryable: true };
    case SFTP_STATUS.unsupported:
      return { code: 'UNSUPPORTED', retryable: false };
    default:
  }
  switch (level) {
    case 'client-authentication':
      return { code: 'UNAUTHORIZED', retryable: false, hint: 'Check user, password and key-path.' };
    case 'agent':
      return { code: 'UNAUTHORIZED', retryable: false, hint: 'Check that the SSH agent runs and holds the key.' };
    case 'client-timeout':
      return { code: 'TIMEOUT', retryable: true };
    case 'client-socket':
    case 'client-dns':
      return classifyNetworkError(error) ?? { code: 'NETWORK', retryable: true };
    case 'handshake':
    case 'protocol':
    case 'sftp-protocol':
      return { code: 'NETWORK', retryable: true, hint: 'Check that an SSH server answers at this address.' };
    default:
  }
  if (message === 'No response from server' || message === 'Not connected') return { code: 'NETWORK', retryable: true };
  return classifyNetworkError(error);
}

/** The error to throw: classified, and without what the library attached. Errors of core pass unchanged. */
export function sftpError(error: unknown, doing: string, object?: string): Error {
  if (isLitestreamError(error)) return error;
  const found = classifySftpError(error);
  if (found === undefined) return error instanceof Error ? error : new Error(String(error));
  return new LitestreamError(`cannot ${doing}: ${(error as Error).message}`, {
    ...found,
    backend: 'sftp',
    object,
    cause: safeCause(error),
  });
}
