/** SQLite's own check of a restored database, in a worker: it is synchronous and takes seconds on a large database. */
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { LitestreamError } from '../error.ts';

export type IntegrityCheck = 'none' | 'quick' | 'full';

export interface IntegrityRequest {
  /** A `file:` URL that opens the database without locks and without making side files. */
  readonly url: string;
  readonly pragma: 'quick_check' | 'integrity_check';
}

export type IntegrityReply = { readonly rows: readonly string[] } | { readonly message: string };

/** Rejects with `DATABASE_INVALID` and what SQLite found wrong. */
export async function checkIntegrity(path: string, mode: IntegrityCheck, signal?: AbortSignal): Promise<void> {
  if (mode === 'none') return;
  // Nobody else has the file: without `immutable`, SQLite makes -wal and -shm files for one in WAL mode.
  const url = `${pathToFileURL(path).href}?mode=ro&immutable=1`;
  const reply = await ask({ url, pragma: mode === 'quick' ? 'quick_check' : 'integrity_check' }, signal);
  if ('rows' in reply && reply.rows.length === 1 && reply.rows[0] === 'ok') return;
  const found = 'rows' in reply ? reply.rows.slice(0, 3).join('; ') : reply.message;
  throw new LitestreamError(`post-restore integrity check failed: ${found}`, {
    code: 'DATABASE_INVALID',
    operation: 'restore',
    object: path,
    hint: 'The output was removed. Restore without the check to look at the database, or restore an earlier state.',
  });
}

async function ask(request: IntegrityRequest, signal: AbortSignal | undefined): Promise<IntegrityReply> {
  signal?.throwIfAborted();
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const url = new URL(`./integrity-worker${extension}`, import.meta.url);
  const worker = new Worker(url, { workerData: request, name: 'litestream-integrity' });
  const { promise, resolve, reject } = Promise.withResolvers<IntegrityReply>();
  const onAbort = (): void => reject(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', () => reject(new Error('the integrity check ended early')));
  try {
    return await promise;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await worker.terminate();
  }
}
