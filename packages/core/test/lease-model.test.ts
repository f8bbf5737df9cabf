/**
 * Several processes, one lease: whatever clocks, networks and schedulers do, all acknowledged transactions are on one timeline.
 */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { TXID } from '@litestream/ltx';
import type { ReplicaClient } from '../src/storage/contract/contract.ts';
import { guardClient } from '../src/storage/guard/guard-client.ts';
import { sleep } from '../src/util/clock.ts';
import { hasCode } from '../src/util/error.ts';
import { fencedClient } from '../src/lease/fenced-client.ts';
import { LeaseHolder } from '../src/lease/holder.ts';
import { takeOver } from '../src/lease/take-over.ts';
import { silentLogger } from '../src/util/logger.ts';
import { Level0Writer } from '../src/replica/upload/level0-writer.ts';
import { MemoryStore, Seeded } from '../src/testing/index.ts';
import { Machine, Network, networkClient, World } from './support/lease-world.ts';
import { encodeLtx } from './support/ltx-history.ts';

const TTL_MS = 6000;
const ROUNDS = 12;
const PAGE = 512;

/** A transaction: which process made it, and after which transaction. */
interface Entry {
  readonly id: string;
  readonly parent: string;
}

interface Shared {
  readonly world: World;
  readonly store: MemoryStore;
  readonly random: Seeded;
  readonly acknowledged: { readonly txid: TXID; readonly id: string }[];
  readonly holders: Map<string, { readonly machine: Machine; readonly holder: LeaseHolder }>;
  /** What was written, by the bytes of the file. */
  readonly files: Map<string, Entry>;
  takeOvers: number;
}

function keyOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function fileOf(txid: TXID, entry: Entry, timestampMs: number): Buffer {
  const page = Buffer.alloc(PAGE);
  page.write(JSON.stringify(entry));
  const header = { pageSize: PAGE, commit: 1, minTxid: txid, maxTxid: txid, timestampMs };
  return Buffer.from(encodeLtx(header, new Map([[1, page]])));
}

/**
 * The ids of the transactions on the replica, in order; throws if they are not one timeline. Files that only claim a name are
 * skipped.
 */
function lineOf({ files, store }: Shared): { readonly end: TXID; readonly ids: ReadonlyMap<TXID, string> } {
  const ids = new Map<TXID, string>();
  let end = 0n;
  let parent = '';
  for (const key of store.keys('ltx/0/')) {
    end += 1n;
    expect(key).toContain(end.toString(16).padStart(16, '0'));
    const entry = files.get(keyOf(store.entries.get(key)?.bytes ?? Buffer.alloc(0)));
    if (entry === undefined) continue;
    expect(entry.parent, `TXID ${end} follows another transaction`).toBe(parent);
    parent = entry.id;
    ids.set(end, entry.id);
  }
  return { end, ids };
}

/** A process that starts without a database, waits for the lease, restores, commits, and ends in one of several ways. */
async function live(name: string, shared: Shared, machine: Machine, network: Network): Promise<void> {
  const { random, store, acknowledged } = shared;
  const client: ReplicaClient = guardClient(networkClient(store, network), {
    clock: machine,
    random: () => random.next(),
  });
  const holder = new LeaseHolder(client, { ttlMs: TTL_MS, owner: name, clock: machine });
  shared.holders.set(name, { machine, holder });
  const fenced = fencedClient(client, holder);
  const writer = new Level0Writer(fenced, silentLogger);
  let position: TXID = 0n;
  holder.acknowledged = () => position;
  await holder.acquire();
  shared.takeOvers += 1;
  let head = '';
  let isThere = false;
  const restore = async (): Promise<boolean> => {
    // What a restore sees: the files that are listed, each read afterwards.
    const files = await Array.fromAsync(fenced.ltxFiles(0));
    for (const file of files) {
      const bytes = Buffer.concat(await Array.fromAsync(await fenced.openLtxFile(file), (chunk) => chunk.slice()));
      head = shared.files.get(keyOf(bytes))?.id ?? head;
      position = file.maxTxid;
    }
    isThere = true;
    return true;
  };
  const database = { path: name, exists: () => isThere, localTxid: () => position, restore };
  await takeOver({ holder, client: fenced, logger: silentLogger, database });
  const inherited = holder.inherited.acknowledgedTxid ?? 0n;
  expect(position, `${name} starts without acknowledged transactions`).toBeGreaterThanOrEqual(inherited);
  for (let commit = 1; ; commit++) {
    await sleep(machine, random.next() * 1500);
    const txid = position + 1n;
    const entry = { id: `${name}.${commit}`, parent: head };
    const bytes = fileOf(txid, entry, machine.now());
    shared.files.set(keyOf(bytes), entry);
    for (let isSent = false; !isSent;) {
      try {
        await holder.requireHeld();
        await writer.create({ txid, timestamp: new Date(machine.now()), body: bodyOf(bytes) }, {});
        isSent = true;
      } catch (error) {
        if (hasCode(error, 'REPLICA_CONFLICT')) await holder.verify();
        if (hasCode(error, 'REPLICA_CONFLICT'))
          throw new Error(`${name} holds the lease, but found another writer`, { cause: error });
        if (hasCode(error, 'LEASE_LOST') && !error.retryable) throw error;
        await sleep(machine, 100);
      }
    }
    position = txid;
    head = entry.id;
    acknowledged.push({ txid, id: entry.id });
    if (random.next() < 0.04) return await holder.release();
  }
}

function bodyOf(bytes: Buffer): { readonly size: number; open: () => AsyncGenerator<Uint8Array> } {
  return {
    size: bytes.length,
    async *open() {
      await Promise.resolve();
      yield bytes;
    },
  };
}

/** Starts a new process, with a new name, when one ends. */
async function run(machine: Machine, network: Network, name: string, shared: Shared): Promise<void> {
  for (let life = 1; ; life++) {
    try {
      await live(`${name}${life}`, shared, machine, network);
    } catch (error) {
      if (!hasCode(error, 'LEASE_LOST') && !hasCode(error, 'NETWORK')) throw error;
      shared.holders.get(`${name}${life}`)?.holder.end();
    }
    await sleep(machine, shared.random.next() * 3000);
  }
}

/** At any time, at most one process may write. */
function certain({ holders }: Shared): string[] {
  return [...holders].flatMap(([name, { machine, holder }]) =>
    holder.overdue === undefined && !holder.signal.aborted && !machine.isFrozen ? [name] : [],
  );
}

describe('leases', () => {
  const seeds = new Seeded(Number(process.env['LEASE_SEED'] ?? Math.floor(Math.random() * 2 ** 32)));
  const rounds = Array.from({ length: ROUNDS }, () => seeds.below(2 ** 32));
  test.each(rounds)('keep one timeline under pauses, partitions, lost answers, clock steps: seed %i', async (seed) => {
    const random = new Seeded(seed);
    const world = new World();
    const shared: Shared = {
      world,
      store: new MemoryStore(),
      random,
      acknowledged: [],
      holders: new Map(),
      files: new Map(),
      takeOvers: 0,
    };
    let failure: unknown;
    const machines = Array.from({ length: 2 + random.below(2) }, (_, index) => {
      const rate = 0.98 + random.next() * 0.04;
      const machine = new Machine(world, { rate, wallOffsetMs: (random.next() - 0.5) * 7_200_000 });
      const network = new Network(machine, random);
      network.lossRate = random.next() * 0.1;
      network.lateRate = random.next() * 0.1;
      network.lateMs = TTL_MS * 1.2;
      void run(machine, network, 'abc'[index] ?? 'd', shared).catch((error: unknown) => (failure ??= error));
      return { machine, network };
    });
    for (let step = 0; step < 120; step++) {
      const each = machines[random.below(machines.length)];
      if (each === undefined) continue;
      const { machine, network } = each;
      const what = random.next();
      if (what < 0.06) machine.freeze(random.next() * TTL_MS * 3);
      else if (what < 0.12) network.isCut = true;
      else if (what < 0.3) for (const other of machines) other.network.isCut = false;
      else if (what < 0.36) machine.wallOffsetMs += (random.next() - 0.5) * 7_200_000;
      else if (what < 0.42) network.delayMsMax = random.next() * TTL_MS * 3;
      else if (what < 0.6) network.delayMsMax = 20;
      // In small steps: at each step, at most one process may believe that it holds the lease.
      for (let part = 0; part < 10; part++) {
        await world.run(random.next() * 400);
        expect(certain(shared).length, certain(shared).join()).toBeLessThanOrEqual(1);
        expect(failure).toBeUndefined();
      }
    }
    const { end, ids } = lineOf(shared);
    for (const { txid, id } of shared.acknowledged) expect(ids.get(txid)).toBe(id);
    expect(end).toBeGreaterThanOrEqual(BigInt(shared.acknowledged.length));
    expect(shared.takeOvers).toBeGreaterThan(0);
  });
});
