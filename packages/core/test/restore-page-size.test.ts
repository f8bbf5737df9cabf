/** A database whose page size changes is restored to each of its moments, before, at and after the change. */
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { LtxFileInfo, ReplicaClient, SqliteConnection } from '../src/index.ts';
import { FileClient, guardClient, Replica, restore } from '../src/index.ts';
import { Compactor } from '../src/compaction/compactor.ts';
import { validateReplica } from '../src/verify/validation.ts';
import { Lab } from './helpers/db-lab.ts';
import { store } from './store-support.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const folder = temporaryFolder('page-size');

async function filesOf(client: ReplicaClient): Promise<LtxFileInfo[]> {
  const files: LtxFileInfo[] = [];
  for (let level = 0; level <= 9; level += 1) files.push(...(await Array.fromAsync(client.ltxFiles(level))));
  return files;
}

describe('a change of page size', () => {
  it('leaves every moment to be restored, from raw files and from compacted ones', async () => {
    await using lab = new Lab();
    const client = guardClient(new FileClient({ path: join(lab.folder, 'replica') }));
    const states = new Map<bigint, Buffer>();
    const commit = (app: SqliteConnection): void => app.exec('INSERT INTO t (v) VALUES (randomblob(2000))');

    async function life(change: number | undefined): Promise<void> {
      const app = lab.app();
      if (change === undefined) app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)');
      else {
        app.get('PRAGMA journal_mode = delete');
        app.exec(`PRAGMA page_size = ${change}; VACUUM`);
        app.get('PRAGMA journal_mode = wal');
      }
      const db = lab.db();
      const replica = new Replica(client, db);
      await db.open({ history: replica });
      for (let i = 0; i < 3; i += 1) {
        if (i > 0) commit(app);
        await db.sync();
        await replica.sync();
        states.set(db.position.txid, lab.source());
      }
      if (change === undefined) await replica.snapshot();
      await db.close();
      lab.closeApp(app);
    }

    async function checkAll(): Promise<number> {
      const ends = new Set((await filesOf(client)).map(({ maxTxid }) => maxTxid));
      for (const txid of ends) {
        const output = join(lab.folder, 'restored.db');
        await restore(client, { output, txid, overwrite: true });
        expect(readFileSync(output).equals(states.get(txid) ?? Buffer.alloc(0)), `TXID ${txid}`).toBe(true);
      }
      return ends.size;
    }

    for (const change of [undefined, 8192, 512]) await life(change);
    expect(await checkAll()).toBe(states.size);
    const compactor = new Compactor(client);
    const written = await compactor.compact(1);
    expect(written.map(({ maxTxid }) => maxTxid)).toHaveLength(3);
    await compactor.compact(2);
    expect(await checkAll()).toBe(states.size);
    await client.deleteLtxFiles(await Array.fromAsync(client.ltxFiles(0)));
    await client.deleteLtxFiles(await Array.fromAsync(client.ltxFiles(1)));
    expect(await checkAll()).toBe(3);
    expect((await validateReplica(client, { sample: 'all' })).faults).toEqual([]);
  });

  it('is refused where the newer files do not hold every page', async () => {
    const client = new MemoryClient();
    const pages = new Map([1, 2, 3].map((pgno) => [pgno, pgno]));
    await store(client, { minTxid: 1n, pages });
    const some = new Map([1, 3].map((pgno) => [pgno, 1]));
    await store(client, { minTxid: 2n, pages: some, commit: 3, pageSize: 1024 });
    await expect(restore(client, { output: join(folder, 'out.db') })).rejects.toMatchObject({
      code: 'LTX_CORRUPT',
      message: expect.stringMatching(/page size is 512, that of newer files 1024, and none of them holds page 2/),
    });
  });
});
