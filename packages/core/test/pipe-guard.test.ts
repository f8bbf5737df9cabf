/** A named pipe in the place of a file must not block a thread, which would wait for the other end without a limit. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pause, until } from '../../../tests/support/wait.ts';
import { syncFolder } from '../src/storage/file/file-durability.ts';
import { withFileLock } from '../src/storage/file/file-lock.ts';
import { LOCK_MARK } from '../src/storage/file/file-temp.ts';
import { readSidecar, sidecarPath } from '../src/restore/write/sidecar.ts';
import { drivers } from './helpers/db-lab.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const root = temporaryFolder('pipes');

/** SQLite opens the files beside a database when it first reads. */
describe.skipIf(process.platform === 'win32').each(drivers)('with $name', (driver) => {
  it.each([true, false])('refuses a pipe that is put there after the open (read-only %s)', (readOnly) => {
    const path = join(root, `${driver.name.replace(':', '-')}-${readOnly}.db`);
    writeFileSync(path, '');
    const app = driver.open(path);
    app.get('PRAGMA journal_mode = wal');
    app.exec('CREATE TABLE t (x)');
    app.close();
    const connection = driver.open(path, { readOnly });
    connection.get('PRAGMA database_list');
    connection.exec('BEGIN');
    execFileSync('mkfifo', [`${path}-wal`]);
    expect(() => connection.get('SELECT count(*) FROM t')).toThrow(
      expect.objectContaining({ code: 'DATABASE_INVALID' }) as Error,
    );
    connection.exec('ROLLBACK');
    connection.close();
  });
});

describe.skipIf(process.platform === 'win32')('a pipe', () => {
  const PATIENCE_MS = 10_000;

  /** Ends the wait of a reader. False if there is none. */
  function release(pipe: string): boolean {
    try {
      closeSync(openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENXIO') return false;
      throw error;
    }
  }

  /** The outcome of work that may wait without a limit for a writer of the pipe. Work that is only slow has not opened the pipe. */
  async function outcomeOf(work: Promise<unknown>, pipe: string): Promise<unknown> {
    let isOver = false;
    const outcome = work
      .catch((error: unknown) => (error as NodeJS.ErrnoException).code)
      .finally(() => (isOver = true));
    const blocked = pause(PATIENCE_MS, 'a thread that waits for a pipe').then(() =>
      until('the end of the work', () => (isOver ? outcome : release(pipe) && 'blocked')),
    );
    return await Promise.race([outcome, blocked]);
  }

  it('in the place of the record beside a copy is no record', async () => {
    const copy = join(root, 'copy.db');
    execFileSync('mkfifo', [sidecarPath(copy)]);
    expect(await outcomeOf(readSidecar(copy), sidecarPath(copy))).toBe('DATABASE_INVALID');
  });

  it('in the place of a lock is not our lock', async () => {
    const subject = join(root, 'subject');
    const work = withFileLock(subject, async (check) => {
      rmSync(subject + LOCK_MARK);
      execFileSync('mkfifo', [subject + LOCK_MARK]);
      await check();
    });
    expect(await outcomeOf(work, subject + LOCK_MARK)).toBe('UNAVAILABLE');
  });

  it('in the place of a folder is not made durable', async () => {
    const pipe = join(root, 'folder');
    execFileSync('mkfifo', [pipe]);
    expect(await outcomeOf(syncFolder(pipe), pipe)).toBe('ENOTDIR');
  });
});
