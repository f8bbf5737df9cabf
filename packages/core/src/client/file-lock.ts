/** A lock on one path among processes, held for milliseconds: a file created with O_EXCL. */
import { link, open, rename, rm, stat } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';

import { LitestreamError } from '../error.ts';
import { isErrno } from './file-durability.ts';
import { LOCK_MARK, TEMP_MARK } from './file-temp.ts';
import { sleep, systemClock } from '../clock.ts';

/** Nobody holds the lock for long: past this age its holder is dead. */
const STALE_AGE_MS = 10_000;
const WAIT_MS_MAX = 15_000;
const POLL_MS = 5;

/** Runs `task` while holding the lock of `subject`. Rejects with `UNAVAILABLE` if it cannot be had within 15 s. */
export async function withFileLock<T>(subject: string, task: () => Promise<T>): Promise<T> {
  const path = subject + LOCK_MARK;
  await acquire(path);
  try {
    return await task();
  } finally {
    await rm(path, { force: true });
  }
}

async function acquire(path: string): Promise<void> {
  const deadlineMs = Date.now() + WAIT_MS_MAX;
  for (;;) {
    try {
      const file = await open(path, 'wx', 0o600);
      await file.close();
      return;
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
    }
    await breakIfStale(path);
    if (Date.now() > deadlineMs) {
      throw new LitestreamError(`cannot lock ${path}`, { code: 'UNAVAILABLE', retryable: true });
    }
    await sleep(systemClock, POLL_MS);
  }
}

/** Renames before it removes, so that of two processes which find the lock stale only one takes it away. */
async function breakIfStale(path: string): Promise<void> {
  try {
    if (Date.now() - (await stat(path)).mtimeMs < STALE_AGE_MS) return;
    const grave = `${path}${TEMP_MARK}${randomUUID()}`;
    await rename(path, grave);
    // Between the two calls another process may have taken the stale lock away and a third one locked afresh.
    if (Date.now() - (await stat(grave)).mtimeMs < STALE_AGE_MS) await link(grave, path);
    await rm(grave, { force: true });
  } catch (error) {
    if (!isErrno(error, 'ENOENT') && !isErrno(error, 'EEXIST')) throw error; // released, or taken away by another
  }
}
