/** The times that transactions are stamped with, when the clock is set back. */

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DB, SqliteConnection } from '../src/index.ts';
import { FileClient, guardClient, planRestore, Replica, restore } from '../src/index.ts';
import { Compactor } from '../src/compaction/compactor.ts';
import { Lab, recordingLogger } from './helpers/db-lab.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const NOON = Date.UTC(2026, 0, 1, 12);
const HOUR_MS = 3_600_000;

/** One database, one replica on disk, and a clock that is set by hand. */
class Rig implements AsyncDisposable {
  readonly lab = new Lab();
  readonly app: SqliteConnection = this.lab.app();
  readonly client = guardClient(new FileClient({ path: join(this.lab.folder, 'replica') }));
  nowMs = NOON;
  db!: DB;
  replica!: Replica;

  async start(): Promise<void> {
    this.app.exec('CREATE TABLE IF NOT EXISTS t (v)');
    const clock = { now: () => this.nowMs, monotonic: () => 0, schedule: () => () => undefined };
    this.db = this.lab.db({ clock });
    this.replica = new Replica(this.client, this.db, { clock });
    await this.db.open({ history: this.replica });
  }

  async commit(): Promise<void> {
    this.app.exec('INSERT INTO t VALUES (randomblob(100))');
    await this.db.sync();
    await this.replica.sync();
  }

  async times(level = 0): Promise<number[]> {
    return (await Array.fromAsync(this.client.ltxFiles(level))).map(({ timestamp }) => timestamp.getTime() - NOON);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}

describe('times of transactions', () => {
  it('rise while the clock is behind, follow it again when it has caught up, and say so once', async () => {
    await using rig = new Rig();
    await rig.start();
    await rig.commit();
    rig.nowMs -= HOUR_MS;
    for (let i = 0; i < 3; i += 1) await rig.commit();
    rig.nowMs += 2 * HOUR_MS;
    await rig.commit();
    expect(await rig.times()).toEqual([0, 1, 2, 3, HOUR_MS]);
    expect(rig.lab.logger.lines.filter(({ message }) => message.startsWith('clock was set back'))).toHaveLength(1);
    const plan = await planRestore(rig.client, { timestamp: new Date(NOON + 2) });
    expect(plan.at(-1)?.maxTxid).toBe(3n);
    await new Compactor(rig.client).compact(1);
    expect(await rig.times(1)).toEqual([HOUR_MS]);
  });

  it('of a clock that was ahead for one commit: a restore to a time says what it left out', async () => {
    await using rig = new Rig();
    await rig.start();
    await rig.commit();
    rig.nowMs += HOUR_MS;
    await rig.commit();
    rig.nowMs -= HOUR_MS - 60_000;
    await rig.commit();
    await rig.commit();
    const logger = recordingLogger();
    const plan = await planRestore(rig.client, { timestamp: new Date(rig.nowMs), now: () => rig.nowMs, logger });
    expect(plan.at(-1)?.maxTxid).toBe(1n);
    const warnings = logger.lines.filter(({ level }) => level === 'warn');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.fields).toMatchObject({
      files: expect.stringContaining('ltx/0/0000000000000002-0000000000000002.ltx'),
      chosen_txid: '0000000000000001',
    });
  });

  it('of a clock that is ahead are in the result of the restore, too', async () => {
    await using rig = new Rig();
    rig.nowMs = Date.now() - 1000;
    await rig.start();
    await rig.commit();
    rig.nowMs += HOUR_MS;
    await rig.commit();
    const output = join(rig.lab.folder, 'restored.db');
    const { txid, timeDoubts } = await restore(rig.client, { output, timestamp: new Date() });
    expect([txid, timeDoubts.ahead.map(({ maxTxid }) => maxTxid), timeDoubts.outOfOrder]).toEqual([1n, [2n], []]);
    const newest = await restore(rig.client, { output, overwrite: true });
    expect([newest.txid, newest.timeDoubts]).toEqual([2n, { ahead: [], outOfOrder: [] }]);
  });

  it.each([
    ['with its local files', () => undefined],
    ['without its local files', (db: DB) => removeFolder(db.metaPath)],
  ])('rise over a restart %s', async (_what, between) => {
    await using rig = new Rig();
    await rig.start();
    await rig.commit();
    await rig.commit();
    await rig.db.close();
    between(rig.db);
    rig.nowMs -= HOUR_MS;
    await rig.start();
    await rig.commit();
    expect(await rig.times()).toEqual([0, 1, 2]);
  });

  it('rise where nothing is left of the past but a compacted file on the replica', async () => {
    await using rig = new Rig();
    await rig.start();
    await rig.commit();
    await rig.commit();
    await new Compactor(rig.client).compact(1);
    await rig.client.deleteLtxFiles(await Array.fromAsync(rig.client.ltxFiles(0)));
    await rig.db.close();
    removeFolder(rig.db.metaPath);
    rig.nowMs -= HOUR_MS;
    await rig.start();
    await rig.commit();
    expect(await rig.times()).toEqual([2, 3]);
  });
});
