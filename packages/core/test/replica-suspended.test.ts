/**
 * A process is suspended (SIGSTOP, a paused virtual machine) at any point of an upload, while another one takes over its
 * replica and runs compaction and level-0 retention there. All that the first one acknowledges afterwards can be restored.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { TXID } from '@litestream/ltx';
import { formatLtxFilename } from '@litestream/ltx';
import type { Clock } from '../src/util/clock.ts';
import { hasCode } from '../src/util/error.ts';
import { Replica } from '../src/replica/replica.ts';
import { restore } from '../src/restore/restore.ts';
import { StoredReplica } from '../src/maintenance/stored-replica.ts';
import { MemoryClient, MemoryStore, Seeded } from '../src/testing/index.ts';
import { FakeDb } from './support/fake-db.ts';
import { encodeLtx, History } from './support/ltx-history.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const root = temporaryFolder('suspended');
let count = 0;
const seed = Number(process.env['SEED'] ?? new Seeded().seed);
console.log(`replica suspended: SEED=${seed}`);

const PAGE_SIZE = 512;
const SLEEP_MS = 600_000;
/** Transactions that the other process writes. */
const THEIRS = 10;

/** Every page of the other database holds the number of the transaction, and nothing like it is in ours. */
function theirState(txid: TXID): Buffer {
  return Buffer.concat([1, 2].map((pgno) => Buffer.alloc(PAGE_SIZE, `theirs ${txid} ${pgno} `)));
}

function pagesOf(state: Buffer): Map<number, Buffer> {
  const pageCount = state.length / PAGE_SIZE;
  return new Map(
    Array.from({ length: pageCount }, (_, index) => [
      index + 1,
      state.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE),
    ]),
  );
}

/** Counts the points at which the process can be stopped, and stops it at one of them. */
class Suspension {
  passed = 0;
  hasHappened = false;
  readonly #at: number;
  readonly #during: () => void;

  constructor(at: number, during: () => void) {
    this.#at = at;
    this.#during = during;
  }

  pass(): void {
    if (this.hasHappened || ++this.passed < this.#at) return;
    this.hasHappened = true;
    this.#during();
  }
}

/** Each look at the clock, and the beginning and end of each request, is a point. */
class World implements Clock {
  readonly store = new MemoryStore();
  readonly db = new FakeDb(join(root, String(count++)), 30, new Seeded(seed), 5);
  readonly warnings: string[] = [];
  readonly replica: Replica;
  /** The write arrives, but the answer is lost. */
  losesAnswers = false;
  #suspension: Suspension | undefined;
  #elapsedMs = 0;

  constructor() {
    const pass = (): void => this.#suspension?.pass();
    // oxlint-disable-next-line typescript/no-this-alias -- of the class below
    const world = this;
    class Client extends MemoryClient {
      override async writeLtxFile(
        ...args: Parameters<MemoryClient['writeLtxFile']>
      ): ReturnType<MemoryClient['writeLtxFile']> {
        const info = await super.writeLtxFile(...args);
        pass();
        if (world.losesAnswers) throw new Error('connection reset');
        return info;
      }

      override async openLtxFile(
        ...args: Parameters<MemoryClient['openLtxFile']>
      ): ReturnType<MemoryClient['openLtxFile']> {
        const body = await super.openLtxFile(...args);
        pass();
        return body;
      }
    }
    const quiet = (): void => undefined;
    const warn = (message: string): void => void this.warnings.push(message);
    const logger = { trace: quiet, debug: quiet, info: quiet, warn, error: quiet, child: () => logger };
    this.replica = new Replica(new Client({ store: this.store, before: pass }), this.db, { clock: this, logger });
  }

  now(): number {
    this.#suspension?.pass();
    return Date.UTC(2026, 0, 1) + this.#elapsedMs;
  }

  monotonic(): number {
    this.#suspension?.pass();
    return this.#elapsedMs;
  }

  schedule(): () => void {
    return () => undefined;
  }

  sleep(ms = SLEEP_MS): void {
    this.#elapsedMs += ms;
  }

  /** The next suspension, at this point. */
  suspendAt(at: number): Suspension {
    this.#suspension = new Suspension(at, () => {
      this.sleep();
      this.takeOver();
    });
    return this.#suspension;
  }

  /** Another process restores what is there, goes on from it, compacts, and level-0 retention leaves its last file. */
  takeOver(): void {
    const keys = this.store.keys('ltx/0/');
    const ends = keys.map((key) => BigInt(`0x${key.slice(-20, -4)}`));
    const end = ends.reduce((max, txid) => (txid > max ? txid : max), 0n);
    for (const key of keys) this.store.entries.delete(key);
    const compacted = this.store.keys('ltx/1/').length;
    if (end > 0n && compacted === 0) this.#put(1, 1n, end, this.stateOf(end));
    this.#put(1, end + 1n, end + BigInt(THEIRS), theirState(end + BigInt(THEIRS)));
    this.#put(0, end + BigInt(THEIRS), end + BigInt(THEIRS), theirState(end + BigInt(THEIRS)));
  }

  #put(level: number, minTxid: TXID, maxTxid: TXID, state: Buffer): void {
    const pages = pagesOf(state);
    const header = { pageSize: PAGE_SIZE, commit: pages.size, minTxid, maxTxid };
    const bytes = encodeLtx({ ...header, timestampMs: History.commitMs(maxTxid) + 1 }, pages);
    this.store.put(
      `ltx/${level}/${formatLtxFilename(minTxid, maxTxid)}`,
      bytes,
      new Date(History.commitMs(maxTxid) + 1),
    );
  }

  stateOf(txid: TXID): Buffer {
    return Buffer.from(this.db.history.states[Number(txid) - 1] ?? []);
  }

  async restored(txid?: TXID): Promise<Buffer> {
    const output = join(root, `out-${count++}.db`);
    await restore(new MemoryClient({ store: this.store }), { output, ...(txid === undefined ? {} : { txid }) });
    return readFileSync(output);
  }

  /** Was it acknowledged? Throws if what is acknowledged does not restore. */
  async acknowledges(): Promise<boolean> {
    try {
      await this.replica.replicated();
    } catch (error) {
      if (!hasCode(error, 'REPLICA_CONFLICT') && !hasCode(error, 'REPLICA_AHEAD')) throw error;
      return false;
    }
    const { txid } = this.replica.position;
    if (txid !== this.db.position.txid) throw new Error(`acknowledged at TXID ${txid}`);
    const restored = await this.restored(txid);
    if (!restored.equals(this.stateOf(txid))) throw new Error(`acknowledged TXID ${txid} restores to something else`);
    return true;
  }
}

/** Runs `scenario` once for each point of it. */
async function atEachPoint(scenario: (point: number) => Promise<Suspension>): Promise<number> {
  for (let point = 1; ; point++) {
    const suspension = await scenario(point);
    if (!suspension.hasHappened) return suspension.passed;
  }
}

describe('a process that is stopped while another one takes over its replica', () => {
  test.each([
    ['in a backlog behind its own files', 3],
    ['in a backlog on a replica that is empty', 0],
  ])('at any point %s acknowledges nothing that does not restore', async (_, before) => {
    const points = await atEachPoint(async (point) => {
      const world = new World();
      for (let txid = 0; txid < before; txid++) {
        world.db.commit();
        await world.replica.replicated();
      }
      for (let txid = 0; txid < 5; txid++) world.db.commit();
      const suspension = world.suspendAt(point);
      await world.acknowledges();
      if (!suspension.hasHappened) return suspension;
      const ends = world.store.keys('ltx/0/').map((key) => BigInt(`0x${key.slice(-20, -4)}`));
      for (let more = 0; more < 3; more++) {
        world.db.commit();
        expect(await world.acknowledges(), `point ${point}, commit ${more}`).toBe(false);
      }
      expect((await world.restored()).equals(theirState(ends.at(-1) ?? 0n)), `point ${point}`).toBe(true);
      return suspension;
    });
    expect(points).toBeGreaterThan(15);
  });

  test('between the opening of the database and its first commit does not go by what it was told then', async () => {
    const world = new World();
    await world.replica.maxTxid();
    world.sleep();
    world.takeOver();
    world.db.commit();
    expect(await world.acknowledges()).toBe(false);
    expect(world.store.keys('ltx/0/')).toHaveLength(1);
  });

  test('does not create the files of its backlog among those of the other one', async () => {
    const world = new World();
    for (let txid = 0; txid < 3; txid++) world.db.commit();
    await world.replica.replicated();
    for (let txid = 0; txid < 5; txid++) world.db.commit();
    let uploads = 0;
    world.replica.onUpload(() => {
      if (++uploads !== 2) return;
      world.sleep();
      world.takeOver();
    });
    expect(await world.acknowledges()).toBe(false);
    expect(world.store.keys('ltx/0/')).toHaveLength(1);
  });
});

/** The store's care of a replica: each turn of level 1 is due. */
function storedOf(world: World): StoredReplica {
  return new StoredReplica(world.replica, {
    levels: [{ level: 1, intervalMs: 1 }],
    snapshotIntervalMs: SLEEP_MS * 10,
    snapshotRetentionMs: SLEEP_MS * 10,
    level0RetentionMs: 1000,
    retentionEnabled: true,
    verifyCompaction: false,
    clock: world,
  });
}

const LEVEL_1 = { level: 1, intervalMs: 1 };

describe('a compaction', () => {
  test.each([
    ['of which level 1 is empty', false],
    ['of which level 1 has a file that is gone', true],
  ])('after a long sleep, %s, does not take what another process compacted for deleted files', async (_, hasLevel1) => {
    const world = new World();
    const stored = storedOf(world);
    for (let txid = 0; txid < 3; txid++) {
      world.db.commit();
      await world.replica.replicated();
    }
    stored.uploaded();
    if (hasLevel1) await stored.compact(LEVEL_1);
    world.db.commit();
    await world.replica.replicated();
    stored.uploaded();
    const before = new Set(world.store.entries.keys());
    world.sleep();
    world.takeOver();
    if (hasLevel1) for (const key of before) world.store.entries.delete(key);
    const left = [...world.store.entries.keys()];
    await expect(stored.compact(LEVEL_1)).rejects.toMatchObject({ code: 'REPLICA_CONFLICT' });
    expect([...world.store.entries.keys()]).toEqual(left);
    expect(world.warnings).toEqual([]);
    expect(world.replica.isDown).toBe(true);
  });

  test('that finds a file whose answer was lost does not take it for that of another process', async () => {
    const world = new World();
    const stored = storedOf(world);
    world.db.commit();
    await world.replica.replicated();
    world.db.commit();
    world.losesAnswers = true;
    await expect(world.replica.replicated()).rejects.toThrow('connection reset');
    world.losesAnswers = false;
    stored.uploaded();
    await stored.compact(LEVEL_1);
    expect(world.store.keys('ltx/1/')).toHaveLength(1);
    expect(await world.acknowledges()).toBe(true);
  });
});
