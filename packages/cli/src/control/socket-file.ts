/** The file of a Unix socket: created with its final permissions, in place of a socket without a listening process. */
import { chmodSync, lstatSync, rmSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { connect } from 'node:net';
import type { Server } from 'node:http';
import { LitestreamError } from '@litestream/core';
import { socketError, socketPathFault } from '../http/listen-errors.ts';

/** Removes the socket of an earlier process. Throws if a process listens on it, if the file is no socket, or if none can exist. */
export async function clearSocket(path: string): Promise<void> {
  const unusable = socketPathFault(path);
  if (unusable !== undefined) throw unusable;
  const stats = statsOf(path);
  if (stats === undefined) return;
  if (!stats.isSocket()) throw refusal(path, 'is not a socket', 'Move the file away, or choose another socket path.');
  if (await isListening(path)) {
    throw refusal(path, 'is in use by another process', 'Stop that process, or choose another socket path.');
  }
  rmSync(path, { force: true });
}

function statsOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw socketError(path, error as NodeJS.ErrnoException);
  }
}

/** Listens on the path. Users without the permission can never connect. */
export async function listenOn(server: Server, path: string, permissions: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.once('listening', resolve);
  // `listen` creates the file. With the default mode, any user could connect before a later `chmod`.
  const umask = process.umask(0o777 & ~permissions);
  try {
    server.listen({ path });
  } finally {
    process.umask(umask);
  }
  await promise.catch((error: NodeJS.ErrnoException) => {
    throw socketError(path, error);
  });
  server.off('error', reject);
  // Only if the system did not apply the mask. Does not follow a link that another user has created meanwhile.
  const stats = lstatSync(path);
  if (stats.isSocket() && (stats.mode & 0o777) !== permissions) chmodSync(path, permissions);
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // Refused: no process listens. A full queue or no permission: a process listens.
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
    });
  });
}

function refusal(path: string, what: string, hint: string): LitestreamError {
  return new LitestreamError(`socket path ${path} ${what}`, { code: 'CONFIG_INVALID', object: path, hint });
}
