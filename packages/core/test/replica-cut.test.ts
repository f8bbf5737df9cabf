/** Files of a replica are deleted behind our back: what is noticed, when, and what is not acknowledged until then. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { TXID } from '@litestream/ltx';
import { guardClient } from '../src/storage/guard/guard-client.ts';
import { LitestreamError } from '../src/util/error.ts';
import type { Logger } from '../src/util/logger.ts';
import { Replica } from '../src/replica/replica.ts';
import { restore } from '../src/restore/restore.ts';
import { Store } from '../src/maintenance/store.ts';
import { StoredReplica } from '../src/maintenance/stored-replica.ts';
import { MemoryClient, Seeded } from '../src/testing/index.ts';
import { FakeDb } from './support/fake-db.ts';
import { temporaryFolder } from './support/temporary-folder.ts';
import { FakeClock, settle } from './store-support.ts';

const root = temporaryFolder('cut');
const LEVELS = [
  { level: 1, intervalMs: 10_000 },
  { level: 2, intervalMs: 60_000 },
];
let count = 0;
const seed = Number(process.env['SEED'] ?? new Seeded().seed);
console.log(`replica cut: SEED=${seed}`);

/** A database, its replica and the store that looks after it, as a daemon has them. */
class Daemon {
  readonly clock = new FakeClock();
  readonly warnings: string[] = [];
  readonly calls: string[] = [];
  /** Objects that cannot be written at the moment. */
  refused: RegExp | undefined;
  readonly memory = new MemoryClient({
    before: (operation, object) => {
      this.calls.push(`${operation} ${object}`);
      if (operation === 'writeLtxFile' && this.refused?.test(object) === true) {
        throw new LitestreamError('refused', { code: 'PERMISSION_DENIED' });
      }
    },
  });
  readonly client = guardClient(this.memory);
  readonly db = new FakeDb(join(root, String(count++)), 200, new Seeded(seed), 40);
  readonly replica: Replica;
  readonly store: Store;

  constructor() {
    const quiet = (): void => undefined;
    const loud = (message: string): void => void this.warnings.push(message);
    const logger: Logger = { trace: quiet, debug: quiet, info: quiet, warn: loud, error: loud, child: () => logger };
    const { clock, db, client } = this;
    this.replica = new Replica(client, db, { logger, clock });
    const stored = new StoredReplica(this.replica, {
      levels: LEVELS,
      snapshotIntervalMs: 86_400_000,
      snapshotRetentionMs: 86_400_000,
      level0RetentionMs: 30_000,
      retentionEnabled: true,
      verifyCompaction: false,
      clock,
      logger,
    });
    this.replica.onUpload(() => stored.uploaded());
    this.store = new Store({ levels: LEVELS, snapshotIntervalMs: 86_400_000, clock, logger });
    this.store.add(stored);
    this.replica.start();
  }

  async commit(): Promise<unknown> {
    this.db.pending = 1;
    try {
      await this.replica.replicated();
      return undefined;
    } catch (error) {
      return error;
    } finally {
      await settle();
    }
  }

  /** Commits once a second for as long. */
  async work(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      await this.commit();
      await this.clock.advance(1000);
      await settle();
    }
  }

  delete(...levels: readonly number[]): void {
    for (const level of levels) {
      for (const key of this.memory.store.keys(`ltx/${level}/`)) this.memory.store.entries.delete(key);
    }
  }

  async restored(txid?: TXID): Promise<Buffer> {
    const output = join(root, `out-${count++}.db`);
    await restore(new MemoryClient({ store: this.memory.store }), { output, ...(txid === undefined ? {} : { txid }) });
    return readFileSync(output);
  }

  get state(): Buffer {
    return Buffer.from(this.db.history.states[Number(this.db.position.txid) - 1] ?? []);
  }
}

const losses = [
  ['everything', [0, 1, 2, 9]],
  ['the snapshots', [9]],
  ['level 1', [1]],
  ['levels 0 and 1', [0, 1]],
  ['level 0', [0]],
] as const;

describe.each(losses)('the replica loses %s', (_, levels) => {
  // At each second of an interval: just before a compaction, just after one, and in between.
  test.each([0, 1, 4, 9])('and is whole again within an interval of level 1, %i s into one', async (into) => {
    const daemon = new Daemon();
    await daemon.work(30 + into);
    daemon.delete(...levels);
    await daemon.work(11);
    expect((await daemon.restored()).equals(daemon.state)).toBe(true);
    expect(daemon.warnings.length).toBeLessThanOrEqual(1);
    // It stays so.
    await daemon.work(40);
    expect((await daemon.restored()).equals(daemon.state)).toBe(true);
    expect(daemon.warnings.length).toBeLessThanOrEqual(1);
    await daemon.replica.stop({ finalSync: false });
    await daemon.store.close();
  });
});

test('once it is noticed nothing is acknowledged until a snapshot is there', async () => {
  const daemon = new Daemon();
  await daemon.work(30);
  daemon.delete(0, 1, 2, 9);
  daemon.refused = /\/9\//;
  await daemon.work(12);
  expect(daemon.warnings.filter((message) => message.startsWith('files of the replica were deleted'))).toHaveLength(1);
  expect(daemon.replica.position).toEqual({ txid: 0n });
  for (let round = 0; round < 3; round++) {
    expect(await daemon.commit()).toMatchObject({ code: 'PERMISSION_DENIED' });
    await daemon.clock.advance(1000);
  }
  daemon.refused = undefined;
  expect(await daemon.commit()).toBeUndefined();
  expect(daemon.replica.position).toEqual(daemon.db.position);
  expect((await daemon.restored()).equals(daemon.state)).toBe(true);
  await daemon.replica.stop({ finalSync: false });
  await daemon.store.close();
});

test('a compaction reports a file that another process wrote after ours when it merges that file', async () => {
  const daemon = new Daemon();
  await daemon.work(25);
  const txid = daemon.db.position.txid + 1n;
  const other = new FakeDb(join(root, String(count++)), 200, new Seeded(seed + 1), 40).history;
  const bytes = other.files[Number(txid) - 1] ?? Buffer.alloc(0);
  const file = { level: 0, minTxid: txid, maxTxid: txid, timestamp: new Date(0) };
  await daemon.client.writeLtxFile(file, {
    size: bytes.length,
    open: async function* () {
      yield bytes;
    },
  });
  await daemon.clock.advance(10_000);
  expect(daemon.warnings.filter((message) => message.startsWith('another process writes'))).toHaveLength(1);
  expect(daemon.replica.isDown).toBe(true);
  expect(await daemon.commit()).toMatchObject({ code: 'REPLICA_CONFLICT' });
  daemon.calls.length = 0;
  await daemon.clock.advance(50_000);
  expect(daemon.calls.filter((call) => /write|delete/.test(call))).toEqual([]);
  expect(daemon.warnings).toHaveLength(1);
  await daemon.replica.stop({ finalSync: false });
  await daemon.store.close();
});

test('a commit after quiet finds it at once', async () => {
  const daemon = new Daemon();
  await daemon.work(30);
  await daemon.clock.advance(3_600_000);
  daemon.delete(0, 1, 2, 9);
  expect(await daemon.commit()).toBeUndefined();
  expect((await daemon.restored()).equals(daemon.state)).toBe(true);
  expect(daemon.warnings).toHaveLength(1);
  await daemon.replica.stop({ finalSync: false });
  await daemon.store.close();
});

test('a database that nothing is written to is not looked after', async () => {
  const daemon = new Daemon();
  await daemon.work(30);
  await daemon.clock.advance(3_600_000);
  await settle();
  daemon.calls.length = 0;
  await daemon.clock.advance(7_200_000);
  await settle();
  expect(daemon.calls).toEqual([]);
  await daemon.replica.stop({ finalSync: false });
  await daemon.store.close();
});
