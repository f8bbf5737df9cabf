/** The kernel lists adjacent locks of one process as one lock. SQLite's are found all the same. */
import { closeSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { heldLocks, isOpenInSqlite } from '../src/sqlite/driver/file-locks.ts';
import { OpeningLocks } from '../src/sqlite/driver/opening-locks.ts';
import type { SqliteConnection } from '../src/index.ts';
import { drivers } from './helpers/db-lab.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const folder = temporaryFolder('opening-locks');

/** SQLite has five read marks. Marks 1 to 4 are for readers of the WAL; the lock of mark 4 is beside the dead-man switch. */
const READERS = 4;

/** Readers at different places of the WAL: each takes another read mark. */
function occupyReadMarks(writer: SqliteConnection, open: () => SqliteConnection): SqliteConnection[] {
  return Array.from({ length: READERS }, (_, reader) => {
    writer.exec(`INSERT INTO t VALUES (${reader})`);
    const connection = open();
    connection.exec('BEGIN; SELECT count(*) FROM t');
    return connection;
  });
}

describe.skipIf(process.platform !== 'linux').each(drivers)('with $name', (driver) => {
  const path = join(folder, `${driver.name.replace(':', '-')}.db`);

  it('sees the locks while every read mark is in use, and sees that a close dropped them', async () => {
    closeSync(openSync(path, 'w'));
    const writer = driver.open(path);
    writer.exec('PRAGMA journal_mode = wal; CREATE TABLE t (a)');
    const database = statSync(path, { bigint: true });
    const shm = statSync(`${path}-shm`, { bigint: true });
    const before = await OpeningLocks.find(database.ino, shm.ino);
    expect(before?.areHeld()).toBe(true);

    const readers = occupyReadMarks(writer, () => driver.open(path));
    expect(before?.areHeld()).toBe(true);
    expect((await OpeningLocks.find(database.ino, shm.ino))?.areHeld()).toBe(true);
    expect(isOpenInSqlite(heldLocks() ?? [], shm)).toBe(true);

    closeSync(openSync(path, 'r'));
    expect(before?.areHeld()).toBe(false);
    for (const connection of [...readers, writer]) connection.close();
  });
});
