/** A named pipe in the place of a file must not block a thread, which would wait for the other end without a limit. */
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pause } from '../../../tests/support/wait.ts';
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
  const TIMEOUT_MS = 10_000;
  /** The outcome of work that may wait for a pipe without a limit. */
  async function outcomeOf(work: Promise<unknown>): Promise<unknown> {
    const blocked = pause(TIMEOUT_MS, 'a thread that waits for a pipe').then(() => 'blocked');
    return await Promise.race([work, blocked]).catch((error: unknown) => (error as NodeJS.ErrnoException).code);
  }

  it('in the place of the record beside a copy is no record', async () => {
    const copy = join(root, 'copy.db');
    execFileSync('mkfifo', [sidecarPath(copy)]);
    expect(await outcomeOf(readSidecar(copy))).toBe('DATABASE_INVALID');
  });

  it('in the place of a lock is not our lock', async () => {
    const subject = join(root, 'subject');
    const work = withFileLock(subject, async (check) => {
      rmSync(subject + LOCK_MARK);
      execFileSync('mkfifo', [subject + LOCK_MARK]);
      await check();
    });
    expect(await outcomeOf(work)).toBe('UNAVAILABLE');
  });

  it('in the place of a folder is not made durable', async () => {
    const pipe = join(root, 'folder');
    execFileSync('mkfifo', [pipe]);
    expect(await outcomeOf(syncFolder(pipe))).toBe('ENOTDIR');
  });
});
