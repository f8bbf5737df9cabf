/**
 * A lock on one path among processes, held for milliseconds: a file that is created with O_EXCL, and names its holder.
 */
import { link, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';

import { LitestreamError } from '../../util/error.ts';
import { OPEN_EXISTING, OPEN_NEW } from '../../files/safe-files.ts';
import { isErrno } from './file-durability.ts';
import { LOCK_MARK, TEMP_MARK } from './file-temp.ts';
import { sleep, systemClock } from '../../util/clock.ts';

/** No process holds the lock for long: past this age, its holder is considered dead. */
const STALE_AGE_MS = 10_000;
const WAIT_MS_MAX = 15_000;
const POLL_MS = 5;

/**
 * Runs `task` while holding the lock of `subject`. A holder that is stopped for 10 s (a suspended machine, a hanging
 * disk) loses its lock to the next one. So `task` gets a check to call right before its irreversible step: it rejects
 * with `UNAVAILABLE` (retryable) if another process has the lock. A holder that is stopped for as long between that
 * check and the next call remains a risk: no lock that must survive a killed holder can exclude that.
 *
 * @throws LitestreamError `UNAVAILABLE` if the lock cannot be taken within 15 s.
 */
export async function withFileLock<T>(subject: string, task: (check: () => Promise<void>) => Promise<T>): Promise<T> {
  const path = subject + LOCK_MARK;
  const token = randomUUID();
  await acquire(path, token);
  try {
    return await task(async () => {
      if (!(await isHeldBy(path, token))) throw unavailable(`lost the lock ${path} to another process`);
    });
  } finally {
    // After a takeover, the lock file is that of the other process.
    if (await isHeldBy(path, token)) await rm(path, { force: true });
  }
}

async function acquire(path: string, token: string): Promise<void> {
  const deadlineMs = Date.now() + WAIT_MS_MAX;
  while (!(await create(path, token))) {
    // Also after the deadline: a process that was suspended finds a stale lock when it resumes.
    if (await breakIfStale(path)) continue;
    if (Date.now() > deadlineMs) throw unavailable(`cannot lock ${path}`);
    await sleep(systemClock, POLL_MS);
  }
}

/** False if another process holds it. */
async function create(path: string, token: string): Promise<boolean> {
  let file;
  try {
    file = await open(path, OPEN_NEW, 0o600);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw error;
  }
  try {
    await file.writeFile(token);
  } catch (error) {
    await rm(path, { force: true }); // the disk is full: the file would not name its holder
    throw error;
  } finally {
    await file.close();
  }
  return true;
}

async function isHeldBy(path: string, token: string): Promise<boolean> {
  try {
    return (await readFile(path, { encoding: 'utf8', flag: OPEN_EXISTING.read })) === token;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

function unavailable(message: string): LitestreamError {
  return new LitestreamError(message, { code: 'UNAVAILABLE', retryable: true });
}

/**
 * True if it removed a stale lock. Renames before it removes, so that only one of two processes that find the lock stale removes
 * it.
 */
async function breakIfStale(path: string): Promise<boolean> {
  try {
    if (Date.now() - (await stat(path)).mtimeMs < STALE_AGE_MS) return false;
    const aside = `${path}${TEMP_MARK}${randomUUID()}`;
    await rename(path, aside);
    try {
      // Between the two calls, another process may have removed the stale lock, and a third one may have taken a new
      // one. If a fourth one has locked since, the third one detects that in its check.
      if (Date.now() - (await stat(aside)).mtimeMs >= STALE_AGE_MS) return true;
      await link(aside, path);
    } finally {
      await rm(aside, { force: true });
    }
  } catch (error) {
    if (!isErrno(error, 'ENOENT') && !isErrno(error, 'EEXIST')) throw error; // released, or removed by another process
  }
  return false;
}
