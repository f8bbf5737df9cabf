import { closeSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { lockPageNumber } from '@litestream/ltx';
import { beforeAll, describe, expect, test } from 'vitest';
import { restore } from '../src/restore/restore.ts';
import { MemoryClient, Seeded } from '../src/testing/index.ts';
import { encodeLtx, encodeSparse, upload } from './support/ltx-history.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const folder = temporaryFolder('restore-sqlite');

describe('a database past 1 GiB', () => {
  test.each([4096, 8192, 32_768, 65_536])(
    'leaves out the lock page, %i bytes a page',
    async (pageSize) => {
      const lockPage = lockPageNumber(pageSize);
      const random = new Seeded(pageSize);
      const filled = new Map(
        [1, lockPage - 1, lockPage + 1, lockPage + 9].map((pgno) => [pgno, random.bytes(pageSize)]),
      );
      const client = new MemoryClient();
      await upload(client, 9, [1, 1], encodeSparse(pageSize, lockPage + 9, filled));
      // A second file that touches both neighbours.
      const update = new Map([lockPage - 1, lockPage + 1].map((pgno) => [pgno, random.bytes(pageSize)]));
      const header = { pageSize, commit: lockPage + 8, minTxid: 2n, maxTxid: 2n, timestampMs: 0 };
      await upload(client, 0, [2, 2], encodeLtx(header, update));
      const output = join(folder, `sparse-${pageSize}.db`);
      const result = await restore(client, { output });
      expect(result.pageCount).toBe(lockPage + 8);
      const stats = statSync(output);
      expect(stats.size).toBe((lockPage + 8) * pageSize);
      // Pages of zeros, and with them nearly all of the gigabyte, stay holes.
      expect(stats.blocks * 512).toBeLessThan(8 << 20);
      const descriptor = openSync(output, 'r');
      const page = Buffer.alloc(pageSize);
      for (const pgno of [1, 2, lockPage - 1, lockPage, lockPage + 1, lockPage + 8]) {
        readSync(descriptor, page, 0, pageSize, (pgno - 1) * pageSize);
        const expected = update.get(pgno) ?? filled.get(pgno) ?? new Uint8Array(pageSize);
        expect(page.equals(expected), `page ${pgno}`).toBe(true);
      }
      closeSync(descriptor);
      rmSync(output);
    },
    180_000,
  );
});

describe('the integrity check', () => {
  const client = new MemoryClient();
  const damaged = new MemoryClient();
  const output = join(folder, 'checked.db');

  beforeAll(async () => {
    const path = join(folder, 'source.db');
    const source = new DatabaseSync(path);
    source.exec('PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); CREATE INDEX tx ON t (x)');
    const insert = source.prepare('INSERT INTO t (x) VALUES (?)');
    for (let id = 0; id < 500; id++) insert.run(`row ${id} ${'x'.repeat(id % 90)}`);
    source.close();
    const bytes = readFileSync(path);
    await uploadDatabase(client, bytes);
    const torn = Buffer.from(bytes);
    torn.fill(0x5a, 4096 * 4, 4096 * 5);
    await uploadDatabase(damaged, torn);
  });

  test.each(['quick', 'full'] as const)('%s: passes, and leaves no side files', async (integrityCheck) => {
    rmSync(output, { force: true });
    await restore(client, { output, integrityCheck });
    expect(readdirSync(folder).filter((name) => name.startsWith('checked.db'))).toEqual(['checked.db']);
    // As the source was: in WAL mode, and SQLite opens it.
    expect(readFileSync(output).subarray(18, 20)).toEqual(Buffer.from([2, 2]));
    const database = new DatabaseSync(output);
    expect(database.prepare('SELECT count(*) AS n FROM t').get()).toEqual({ n: 500 });
    database.exec("INSERT INTO t (x) VALUES ('written after the restore')");
    database.close();
  });

  test.each(['quick', 'full'] as const)('%s: fails, and no output appears', async (integrityCheck) => {
    rmSync(output, { force: true });
    await expect(restore(damaged, { output, integrityCheck })).rejects.toMatchObject({
      code: 'DATABASE_INVALID',
      message: expect.stringMatching(/^post-restore integrity check failed: .+/),
    });
    expect(readdirSync(folder).filter((name) => name.startsWith('checked.db'))).toEqual([]);
  });

  test('what is no database at all', async () => {
    rmSync(output, { force: true });
    const noise = new MemoryClient();
    await uploadDatabase(noise, Buffer.from(new Seeded(1).bytes(4096 * 3)));
    await expect(restore(noise, { output, integrityCheck: 'quick' })).rejects.toMatchObject({
      code: 'DATABASE_INVALID',
    });
    await restore(noise, { output });
    expect(statSync(output).size).toBe(4096 * 3);
  });

  test('a path that means something in a URL', async () => {
    const odd = join(folder, 'a?b#c %20.db');
    await restore(client, { output: odd, integrityCheck: 'full' });
    expect(statSync(odd).size).toBeGreaterThan(0);
  });
});

async function uploadDatabase(client: MemoryClient, bytes: Buffer): Promise<void> {
  const pageSize = 4096;
  const commit = bytes.length / pageSize;
  const pages = new Map<number, Uint8Array>();
  for (let pgno = 1; pgno <= commit; pgno++) pages.set(pgno, bytes.subarray((pgno - 1) * pageSize, pgno * pageSize));
  await upload(client, 9, [1, 1], encodeLtx({ pageSize, commit, minTxid: 1n, maxTxid: 1n, timestampMs: 0 }, pages));
}
