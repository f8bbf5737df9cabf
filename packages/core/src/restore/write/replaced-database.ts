/**
 * Replaces an existing database by a restored one. SQLite would apply the old WAL to the new database, so the WAL must
 * be removed before the new file has the name; but until then, the WAL holds commits of the old database. So SQLite
 * itself first checkpoints the old database into one file, which is safe in a crash, and keeps every other program out
 * until the file is replaced.
 */
import { rm, stat } from 'node:fs/promises';
import type { Worker } from 'node:worker_threads';
import { isOpenHere } from '../../sqlite/driver/library-conflict.ts';
import { openElsewhere } from '../../sqlite/driver/open-elsewhere.ts';
import { LitestreamError } from '../../util/error.ts';
import { SIDECAR_SUFFIXES } from './sidecars.ts';
import { startWorker, workerScript } from '../../own-files/worker-script.ts';

/**
 * What the worker reports: the database is one file and locked; or the primary result code of SQLite; or why SQLite
 * must not read it.
 */
export type ReplacedReply =
  | { readonly state: 'held' }
  | { readonly state: 'failed'; readonly resultCode: number }
  | { readonly state: 'refused'; readonly message: string };

const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

/**
 * Calls `replace`, which gives another file the name, once the old database has no side files any more. A crash at any
 * point leaves the old database with all its commits, or the new one.
 *
 * Rejects with `DATABASE_BUSY` if another program has the old one open, with `DISK_FULL` if the disk has no room for
 * its WAL, with `SCHEMA_TOO_LARGE`, and with `UNAVAILABLE` for other errors of SQLite. A damaged database, which SQLite
 * cannot read, contains nothing to keep.
 */
export async function replaceDatabase(path: string, replace: () => Promise<void>): Promise<void> {
  if ((await sizeOf(path)) === 0) {
    requireNotOpenElsewhere(path);
    await removeSidecars(path);
    await replace();
    return;
  }
  // Another copy of SQLite in this process does not see the locks of the one that is used here.
  if (isOpenHere(path)) throw inUse(path, ' by this process');
  const worker = startWorker(await workerScript('replaced'), { workerData: path, name: 'litestream-replace' });
  try {
    const reply = await replyOf(worker);
    if (reply.state === 'refused') throw refused(path, reply.message);
    if (reply.state === 'failed' && reply.resultCode !== SQLITE_CORRUPT && reply.resultCode !== SQLITE_NOTADB)
      throw failureOf(path, reply.resultCode);
    // An idle connection holds no lock, and would write its next commit to the old database.
    requireNotOpenElsewhere(path);
    await removeSidecars(path);
    await replace();
  } finally {
    await release(worker);
  }
}

async function replyOf(worker: Worker): Promise<ReplacedReply> {
  const { promise, resolve, reject } = Promise.withResolvers<ReplacedReply>();
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', () => reject(new Error('the worker that holds the old database ended early')));
  return await promise;
}

/** The worker must close the old database: if it is terminated, SQLite may not close it. */
async function release(worker: Worker): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  worker.once('exit', () => resolve());
  if (worker.threadId === -1) return;
  // The rule is about windows, which have origins.
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  worker.postMessage('release');
  await promise;
}

async function removeSidecars(path: string): Promise<void> {
  for (const suffix of SIDECAR_SUFFIXES) await rm(path + suffix, { force: true });
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

function requireNotOpenElsewhere(path: string): void {
  const user = userOf(path);
  if (user !== '') throw inUse(path, user);
}

/** ` by process 12 (node)`; empty if no other process is found. */
function userOf(path: string): string {
  const user = openElsewhere(path);
  if (user === undefined) return '';
  return ` by process ${user.pid}${user.name === '' ? '' : ` (${user.name})`}`;
}

function inUse(path: string, by: string = userOf(path)): LitestreamError {
  return new LitestreamError(`the database to be replaced is in use${by}: ${path}`, {
    code: 'DATABASE_BUSY',
    retryable: true,
    operation: 'restore',
    object: path,
    hint: 'Stop the programs that have it open, including Litestream, or choose another output. Nothing was changed.',
  });
}

function refused(path: string, message: string): LitestreamError {
  return new LitestreamError(`cannot checkpoint the database to be replaced: ${message}`, {
    code: 'SCHEMA_TOO_LARGE',
    operation: 'restore',
    object: path,
    hint: 'Choose another output, or move the database and its -wal and -shm files away first. Nothing was changed.',
  });
}

function failureOf(path: string, resultCode: number): LitestreamError {
  if (resultCode === SQLITE_BUSY) return inUse(path);
  const isFull = resultCode === SQLITE_FULL;
  const why = isFull ? 'no space left to write its WAL to' : `SQLite error ${resultCode}`;
  return new LitestreamError(`cannot checkpoint the database to be replaced (${why}): ${path}`, {
    code: isFull ? 'DISK_FULL' : 'UNAVAILABLE',
    operation: 'restore',
    object: path,
    hint: 'Choose another output, or move the database and its -wal and -shm files away first. Nothing was changed.',
  });
}
