/** Explains why a server cannot listen: the system has one error number for several reasons, and Node adds its own. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { LitestreamError } from '@litestream/core';
import { hostText } from './address.ts';
import type { Address } from './address.ts';

/** Longest path of a Unix socket, in bytes (`sun_path` without its NUL). */
const SOCKET_PATH_LENGTH_MAX: number = process.platform === 'linux' ? 107 : 103;

/** Why no socket can exist at a path; undefined if one can. */
export function socketPathFault(path: string): LitestreamError | undefined {
  const length = Buffer.byteLength(path);
  if (length > SOCKET_PATH_LENGTH_MAX) {
    return fault(
      `socket path ${path} is too long: ${length} bytes, and the system takes ${SOCKET_PATH_LENGTH_MAX}`,
      path,
      'Choose a shorter path.',
    );
  }
  const folder = dirname(path);
  try {
    if (statSync(folder).isDirectory()) return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') {
      return fault(
        `the folder of socket path ${path} does not exist`,
        path,
        `Create ${folder}, or choose another socket path.`,
      );
    }
    // No permission to check: listening fails with the same error.
    if (code !== 'ENOTDIR') return undefined;
  }
  return fault(`a parent of the socket path ${path} is a file`, path, 'Choose a path whose parents are folders.');
}

/** Why the file of a socket cannot be created. */
export function socketError(path: string, cause: NodeJS.ErrnoException): Error {
  const known = SOCKET_REASONS[cause.code ?? ''];
  return known === undefined ? cause : fault(`socket path ${path}: ${known.what}`, path, known.hint);
}

const SOCKET_REASONS: Readonly<Record<string, { readonly what: string; readonly hint: string }>> = {
  EACCES: {
    what: 'no permission to create it',
    hint: 'Let the user of litestream write to its folder, or choose another socket path.',
  },
  EROFS: { what: 'its file system is read-only', hint: 'Choose a socket path elsewhere.' },
  ENOSPC: { what: 'no space is left to create it', hint: 'Free space, or choose another socket path.' },
};

/** Why the server cannot listen on a network address. */
export function addressError(address: Address, cause: NodeJS.ErrnoException): Error {
  const host = address.host === undefined ? '' : hostText(address);
  const shown = `${host}:${address.port}`;
  const code = cause.code ?? '';
  if (code === 'EADDRINUSE') {
    return fault(`${shown} is in use by another process`, shown, 'Stop that process, or choose another port.');
  }
  if (code === 'EACCES') {
    return fault(
      `no permission to listen on ${shown}`,
      shown,
      'Choose a port above 1023, or give the process the capability CAP_NET_BIND_SERVICE.',
    );
  }
  if (code === 'EADDRNOTAVAIL') {
    return fault(`cannot listen on ${shown}: this machine does not have that address`, shown, OTHER_HOST);
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return fault(`cannot listen on ${shown}: the name ${host} is not known`, shown, OTHER_HOST);
  }
  return cause;
}

const OTHER_HOST = 'Use an address of this machine, or :PORT for all of its addresses.';

function fault(message: string, object: string, hint: string): LitestreamError {
  return new LitestreamError(message, { code: 'CONFIG_INVALID', object, hint });
}
