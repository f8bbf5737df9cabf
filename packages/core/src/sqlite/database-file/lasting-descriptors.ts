/**
 * When a worker thread ends, Node closes the descriptors that it opened (`trackUnmanagedFds`, on by default). Closing one of
 * a database file drops every lock that the process holds on it, those of the main thread's connections, too: another process
 * may then delete the WAL under them. So a database is not opened in such a thread.
 */
import { closeSync, fstatSync } from 'node:fs';
import { Worker, isMainThread } from 'node:worker_threads';
import { LitestreamError } from '../../util/error.ts';

/** A thread inherits the setting of its parent: a thread that is started here shows whether descriptors outlive it. */
const PROBE = `
  const { parentPort } = require('node:worker_threads');
  parentPort.postMessage(require('node:fs').openSync(process.execPath, 'r'));
`;

let lasting: Promise<boolean> | undefined;

/** Rejects with `UNSUPPORTED` in a worker thread whose descriptors end with it. Starts a thread, once, in a worker only. */
export async function requireLastingDescriptors(path: string): Promise<void> {
  // On Windows, closing a descriptor drops no locks.
  if (isMainThread || process.platform === 'win32') return;
  lasting ??= doDescriptorsLast();
  if (await lasting) return;
  throw new LitestreamError(`cannot replicate in a worker thread that closes its descriptors: ${path}`, {
    code: 'UNSUPPORTED',
    retryable: false,
    operation: 'open',
    object: path,
    hint: 'Create the thread with `new Worker(file, { trackUnmanagedFds: false })`, or start Litestream in the main thread. Otherwise the end of the thread drops the locks of every connection of the process.',
  });
}

async function doDescriptorsLast(): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  let fd: number | undefined;
  const probe = new Worker(PROBE, { eval: true, execArgv: [], trackUnmanagedFds: false });
  probe.once('message', (message: number) => (fd = message));
  probe.once('error', reject);
  probe.once('exit', () => resolve(fd));
  const opened = await promise;
  if (opened === undefined) return false;
  try {
    fstatSync(opened);
  } catch {
    return false;
  }
  closeSync(opened);
  return true;
}
