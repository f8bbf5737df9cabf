/** No room for a local file of the whole database: replicas get a streamed snapshot instead. */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DB, LtxFileInfo, SqliteDriver } from '../src/index.ts';
import { FileClient, Replica, guardClient, restore } from '../src/index.ts';
import { drivers } from './helpers/db-lab.ts';
import { MIB, SmallDisk, canMount } from './helpers/small-disk.ts';

/** Of each whole payload. */
const CONTENT = 'SELECT id, length(payload) AS size, payload FROM t ORDER BY id';

describe.skipIf(!canMount).each(drivers)(
  'a whole database that has no room beside itself, with $name',
  (driver: SqliteDriver) => {
    async function replicate(
      disk: SmallDisk,
      options: { autoRecover?: boolean } = {},
    ): Promise<{ db: DB; replica: Replica; client: FileClient }> {
      const db = disk.db({ checkpointIntervalMs: 0 });
      const client = new FileClient({ path: disk.replica });
      const replica = new Replica(guardClient(client), db, options);
      await client.init();
      await db.open({ history: replica });
      return { db, replica, client };
    }

    /** What a program other than SQLite does: in a process of its own, since a close here would drop SQLite's locks. */
    function overwrite(path: string, offset: number): void {
      const script = `const fs = require('node:fs'); const fd = fs.openSync(process.argv[1], 'r+');
        fs.writeSync(fd, Buffer.alloc(1000, 0x5a), 0, 1000, Number(process.argv[2])); fs.fsyncSync(fd)`;
      const { status, stderr } = spawnSync(process.execPath, ['-e', script, path, String(offset)]);
      if (status !== 0) throw new Error(String(stderr));
    }

    /** Then another program changes the database, and no ledger shows which pages. */
    async function replicateOnce(disk: SmallDisk): Promise<void> {
      const { db, replica } = await replicate(disk);
      await replica.replicated();
      disk.app.get('PRAGMA wal_checkpoint(TRUNCATE)');
      await db.checkpoint('PASSIVE');
      await db.sync();
      await db.close();
      rmSync(join(db.metaPath, 'ledger'));
      // In the middle of a payload.
      overwrite(disk.path, 6 * MIB + 100);
    }

    async function expectRestored(disk: SmallDisk): Promise<void> {
      const output = join(disk.root, 'restored.db');
      rmSync(output, { force: true });
      await restore(new FileClient({ path: disk.replica }), { output });
      const copy = driver.open(output);
      try {
        // By their bytes, which JSON would make slow.
        const [found, expected] = [copy.all(CONTENT), disk.app.all(CONTENT)];
        expect(found.length).toBe(expected.length);
        for (const [index, row] of found.entries()) {
          const same = Buffer.compare(row['payload'] as Uint8Array, expected[index]?.['payload'] as Uint8Array) === 0;
          expect(same, `row ${String(row['id'])}`).toBe(true);
        }
      } finally {
        copy.close();
      }
    }

    const levels = (client: FileClient, level: number): Promise<LtxFileInfo[]> =>
      Array.fromAsync(client.ltxFiles(level, {}));

    it('is replicated for the first time by a streamed snapshot', async () => {
      await using disk = new SmallDisk(driver, { size: 48, databaseSize: 12 });
      disk.fill(8 * MIB);
      const { db, replica, client } = await replicate(disk);
      await replica.replicated();
      expect(db.localLtx(0).list()).toEqual([]);
      expect((await levels(client, 9)).length).toBe(1);
      await expectRestored(disk);
      disk.app.exec('UPDATE t SET payload = randomblob(5000) WHERE id = 4');
      await replica.replicated();
      expect(await levels(client, 0)).toMatchObject([{ minTxid: 2n }]);
      expect((await levels(client, 9)).length).toBe(1);
      await expectRestored(disk);
    });

    it('is replicated again by a start that finds nothing but that snapshot', async () => {
      await using disk = new SmallDisk(driver, { size: 48, databaseSize: 12 });
      disk.fill(8 * MIB);
      const first = await replicate(disk);
      await first.replica.replicated();
      await first.db.close();
      overwrite(disk.path, 6 * MIB + 100);
      const { db, replica } = await replicate(disk);
      await replica.replicated();
      expect(replica.position).toEqual(db.position);
      await expectRestored(disk);
      disk.app.exec('UPDATE t SET payload = randomblob(5000) WHERE id = 4');
      await replica.replicated();
      await expectRestored(disk);
    });

    it.each([true, false])('heals after a fault, with autoRecover %s', async (autoRecover) => {
      await using disk = new SmallDisk(driver, { size: 48, databaseSize: 12 });
      await replicateOnce(disk);
      disk.fill(8 * MIB);
      const { db, replica, client } = await replicate(disk, { autoRecover });
      await replica.replicated();
      expect(replica.position).toEqual(db.position);
      expect(db.leftOut?.txid).toBe(db.position.txid);
      expect((await levels(client, 9)).length).toBe(1);
      await expectRestored(disk);
      disk.app.exec('UPDATE t SET payload = randomblob(5000) WHERE id = 4');
      await replica.replicated();
      expect((await levels(client, 9)).length).toBe(1);
      await expectRestored(disk);
    });

    it.each(['is stopped', 'is killed'])(
      'is not forgotten by a start, where the process %s before the snapshot is sent',
      async (end) => {
        await using disk = new SmallDisk(driver, { size: 48, databaseSize: 12 });
        await replicateOnce(disk);
        disk.fill(8 * MIB);
        const first = await replicate(disk);
        await first.db.sync();
        expect(first.db.leftOut?.txid).toBe(2n);
        // A clean stop cannot bring the database to rest while another program writes.
        if (end === 'is killed') disk.app.exec('BEGIN IMMEDIATE');
        await first.db.close();
        if (end === 'is killed') disk.app.exec('ROLLBACK');
        const { replica } = await replicate(disk);
        await replica.replicated();
        await expectRestored(disk);
      },
    );

    it('is not repeated by a start, once the next transaction has a file', async () => {
      await using disk = new SmallDisk(driver, { size: 48, databaseSize: 12 });
      const first = await replicate(disk);
      await first.replica.replicated();
      disk.fill(8 * MIB);
      await first.db.syncWhole('test');
      disk.app.exec('UPDATE t SET payload = randomblob(5000) WHERE id = 4');
      await first.db.sync();
      await first.db.close();
      const { db, replica, client } = await replicate(disk);
      await replica.replicated();
      expect(db.position.txid).toBe(3n);
      expect(db.leftOut).toBeUndefined();
      expect((await levels(client, 9)).map(({ maxTxid }) => maxTxid)).toEqual([3n]);
      await expectRestored(disk);
    });

    it('fails where there is no replica that could take a snapshot', async () => {
      await using disk = new SmallDisk(driver, { size: 48, databaseSize: 12 });
      disk.fill(8 * MIB);
      const db = disk.db();
      await db.open();
      await expect(db.sync()).rejects.toMatchObject({ code: 'DISK_FULL' });
      expect(db.position.txid).toBe(0n);
    });
  },
);
