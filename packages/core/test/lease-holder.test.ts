/** One process and its lease, with clocks that the test controls. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ReplicaClient } from '../src/storage/contract/contract.ts';
import { guardClient } from '../src/storage/guard/guard-client.ts';
import { fencedClient } from '../src/lease/fenced-client.ts';
import { LeaseHolder } from '../src/lease/holder.ts';
import type { LeaseHolderOptions } from '../src/lease/holder-options.ts';
import { Leaser } from '../src/lease/leaser.ts';
import { LEASE_KEY } from '../src/lease/record.ts';
import type { LeaseStatus } from '../src/lease/status.ts';
import { MemoryClient, MemoryStore, Seeded } from '../src/testing/index.ts';
import { caught } from './client-guard-support.ts';
import { Machine, Network, networkClient, World } from './support/lease-world.ts';
import type { Clock } from '../src/util/clock.ts';
import type { Logger } from '../src/util/logger.ts';

const file = { level: 0, minTxid: 1n, maxTxid: 1n, timestamp: new Date(0) };

class Process {
  readonly machine: Machine;
  readonly network: Network;
  readonly client: ReplicaClient;
  readonly holder: LeaseHolder;
  readonly fenced: ReplicaClient;
  readonly changes: string[] = [];

  constructor(world: World, store: MemoryStore, name: string, options: LeaseHolderOptions = {}) {
    this.machine = new Machine(world);
    this.network = new Network(this.machine, new Seeded(1));
    this.network.delayMsMax = 1;
    this.client = guardClient(networkClient(store, this.network), { retry: { attemptCountMax: 1 } });
    const onChange = ({ state }: LeaseStatus): void => void this.changes.push(state);
    this.holder = new LeaseHolder(this.client, {
      owner: name,
      clock: options.clock ?? this.machine,
      onChange,
      ...options,
    });
    this.fenced = fencedClient(this.client, this.holder);
    onTestFinished(() => this.holder.end());
  }

  write(txid = 1n): Promise<unknown> {
    const body = { open: () => bytes() };
    return this.fenced.writeLtxFile({ ...file, minTxid: txid, maxTxid: txid }, body, { ifNoneMatch: '*' });
  }
}

async function* bytes(): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield Buffer.from('x');
}

function lab(): { world: World; store: MemoryStore; content: () => Record<string, unknown> } {
  const store = new MemoryStore();
  const content = (): Record<string, unknown> =>
    JSON.parse(Buffer.from(store.entries.get(LEASE_KEY)?.bytes ?? []).toString()) as Record<string, unknown>;
  return { world: new World(), store, content };
}

/** How a promise ended; undefined while it is pending. */
function begin<T>(promise: Promise<T>): { outcome?: PromiseSettledResult<T> } {
  const begun: { outcome?: PromiseSettledResult<T> } = {};
  promise.then(
    (value) => (begun.outcome = { status: 'fulfilled', value }),
    (reason: unknown) => (begun.outcome = { status: 'rejected', reason }),
  );
  return begun;
}

/** The outcome after this time. */
async function settled<T>(world: World, promise: Promise<T>, forMs = 1000): Promise<PromiseSettledResult<T>> {
  const begun = begin(promise);
  await world.run(forMs);
  if (begun.outcome === undefined) throw new Error(`still pending after ${forMs} ms`);
  return begun.outcome;
}

async function held(world: World, store: MemoryStore, name: string, options?: LeaseHolderOptions): Promise<Process> {
  const process = new Process(world, store, name, options);
  expect(await settled(world, process.holder.acquire())).toMatchObject({ status: 'fulfilled' });
  return process;
}

describe('the holder', () => {
  test('renews after a third of the term, with what was acknowledged', async () => {
    const { world, store, content } = lab();
    const { holder } = await held(world, store, 'a');
    holder.acknowledged = () => 0x12n;
    const first = content();
    expect(first).toMatchObject({ generation: 1, owner: 'a', ttl_ms: 30_000 });
    await world.run(8900);
    expect(content()).toEqual(first);
    await world.run(200);
    expect(content()).toMatchObject({
      generation: 1,
      session: first['session'],
      acknowledged_txid: '0000000000000012',
    });
    expect(content()['expires_at']).not.toBe(first['expires_at']);
    await world.run(600_000);
    expect(holder.status).toMatchObject({ state: 'held', lease: { acknowledgedTxid: 0x12n } });
    // The database was opened again, and nothing is known of it yet.
    holder.acknowledged = () => 0n;
    await world.run(60_000);
    expect(content()).toMatchObject({ acknowledged_txid: '0000000000000012' });
    await settled(world, holder.release());
    expect(content()).toMatchObject({
      acknowledged_txid: '0000000000000012',
      released_at: expect.any(String) as string,
    });
  });

  test('stops writing before the lease ends, and writes again once it is renewed', async () => {
    const { world, store } = lab();
    const process = await held(world, store, 'a');
    const { network } = process;
    network.isCut = true;
    // The lease counts from the first request: 24 s of 30 may be used.
    await world.run(22_900);
    expect(process.holder.status.state).toBe('held');
    await world.run(200);
    expect(process.holder.status.state).toBe('lapsed');
    expect(await settled(world, process.write(), 11_000)).toMatchObject({
      reason: { code: 'LEASE_LOST', retryable: true },
    });
    expect(store.keys('ltx/')).toEqual([]);
    network.isCut = false;
    await world.run(4000);
    expect(await settled(world, process.write())).toMatchObject({ status: 'fulfilled' });
    expect(process.changes).toEqual(['held', 'lapsed', 'held']);
    expect(process.holder.status.lease?.generation).toBe(1);
  });

  test('aborts requests that are under way when the lease is nearly over', async () => {
    const { world, store } = lab();
    const process = await held(world, store, 'a');
    await world.run(20_000);
    process.network.delayMsMax = 0;
    process.network.lateRate = 1;
    process.network.lateMs = 60_000;
    expect(await settled(world, process.write(), 25_000)).toMatchObject({
      reason: { code: 'LEASE_LOST', retryable: true },
    });
  });

  test('sends nothing after it was stopped past its term, and asks the store which process has the lease', async () => {
    const { world, store } = lab();
    const a = await held(world, store, 'a');
    const b = new Process(world, store, 'b');
    begin(b.holder.acquire());
    await world.run(1000);
    a.machine.freeze(60_000);
    await world.run(45_000);
    expect(b.holder.status).toMatchObject({ state: 'held', lease: { generation: 2 } });
    expect(b.holder.inherited.isUnclean).toBe(true);
    await world.run(17_000);
    expect(a.holder.status.state).toBe('lost');
    expect(await settled(world, a.write())).toMatchObject({ reason: { code: 'LEASE_LOST', retryable: false } });
    expect(a.holder.error?.message).toContain('held by b until');
    expect(await settled(world, b.write())).toMatchObject({ status: 'fulfilled' });
    // It stays lost, even after the other process has released the lease.
    await settled(world, b.holder.release());
    expect(await settled(world, a.holder.acquire())).toMatchObject({ reason: { code: 'LEASE_LOST' } });
  });

  test('a write succeeds only if the process still holds the lease afterwards', async () => {
    const { world, store } = lab();
    const a = await held(world, store, 'a');
    const written = begin(a.write());
    await world.run(0);
    // The file arrives; the answer comes after the term of the lease.
    a.machine.freeze(90_000);
    const b = new Process(world, store, 'b');
    begin(b.holder.acquire());
    await world.run(95_000);
    expect(store.keys('ltx/')).toHaveLength(1);
    expect(written.outcome).toMatchObject({ reason: { code: 'LEASE_LOST' } });
  });

  test.each([3_600_000, -3_600_000])('is not disturbed when its wall clock is set by %i ms', async (stepMs) => {
    const { world, store } = lab();
    const a = await held(world, store, 'a');
    const b = new Process(world, store, 'b');
    begin(b.holder.acquire());
    for (let step = 0; step < 10; step++) {
      a.machine.wallOffsetMs += stepMs;
      expect(await settled(world, a.write(BigInt(step + 1)))).toMatchObject({ status: 'fulfilled' });
      await world.run(30_000);
    }
    expect(a.changes).toEqual(['held']);
    expect(b.holder.status.state).toBe('waiting');
    b.holder.end();
  });

  test('asks the store after its machine was suspended and its monotonic clock stopped', async () => {
    const { world, store } = lab();
    const machine = new Machine(world);
    let suspendedMs = 0;
    const clock: Clock = {
      now: () => machine.now(),
      monotonic: () => machine.monotonic() - suspendedMs,
      schedule: (delayMs, task) => machine.schedule(delayMs, task),
    };
    const a = await held(world, store, 'a', { clock });
    const b = new Process(world, store, 'b');
    begin(b.holder.acquire());
    await world.run(1000);
    a.network.isCut = true; // no timer of it renews meanwhile
    await world.run(60_000);
    suspendedMs = machine.monotonic();
    a.network.isCut = false;
    expect(await settled(world, a.write())).toMatchObject({ reason: { code: 'LEASE_LOST' } });
    expect(b.holder.status.state).toBe('held');
  });

  test('asks the store again if a renewal was in progress when its machine and both clocks stopped', async () => {
    const { world, store, content } = lab();
    const machine = new Machine(world);
    let stoppedMs = 0;
    const clock: Clock = {
      now: () => machine.now() - stoppedMs,
      monotonic: () => machine.monotonic() - stoppedMs,
      schedule: (delayMs, task) => machine.schedule(delayMs, task),
    };
    const a = await held(world, store, 'a', { clock });
    const b = new Process(world, store, 'b');
    begin(b.holder.acquire());
    // The renewal takes effect, and its answer is on its way when the machine stops.
    const before = content()['expires_at'];
    while (content()['expires_at'] === before) await world.run(0.1);
    const fromMs = world.nowMs;
    machine.freeze(60_000);
    a.machine.freeze(60_000);
    await world.run(59_000);
    expect(b.holder.status).toMatchObject({ state: 'held', lease: { generation: 2 } });
    stoppedMs = world.nowMs - fromMs;
    const verified = begin(a.holder.verify());
    await world.run(5000);
    expect(verified.outcome).toMatchObject({ reason: { code: 'LEASE_LOST', retryable: false } });
  });

  test('may write until it renews after its lease was broken, and its successor waits for that long', async () => {
    const { world, store, content } = lab();
    const a = await held(world, store, 'a');
    a.holder.acknowledged = () => 7n;
    const b = new Process(world, store, 'b');
    begin(b.holder.acquire());
    await world.run(15_000);
    // It cannot renew, but its writes may be on their way.
    a.network.isCut = true;
    await new Leaser(new MemoryClient({ store }), { owner: 'operator', now: () => b.machine.now() }).break();
    expect(content()).toMatchObject({ generation: 1, owner: 'a', broken_at: expect.any(String) as string });
    expect(content()).not.toHaveProperty('acknowledged_txid');
    for (let step = 0; step < 29; step++) {
      await world.run(1000);
      expect(b.holder.status.state).toBe('waiting');
    }
    expect(a.holder.status.state).toBe('lapsed');
    await world.run(2000);
    expect(b.holder.status).toMatchObject({ state: 'held', lease: { generation: 2 } });
    // A late file is possible, and no acknowledged commit prevents the promotion.
    expect(b.holder.inherited).toEqual({ acknowledgedTxid: undefined, isUnclean: true });
    a.network.isCut = false;
    await world.run(5000);
    expect(a.holder.status.state).toBe('lost');
  });
});

describe('a successor', () => {
  test('knows what it inherits although the answer of its first write was lost', async () => {
    const { world, store, content } = lab();
    const a = await held(world, store, 'a');
    a.holder.acknowledged = () => 7n;
    await world.run(15_000);
    a.holder.end();
    const b = new Process(world, store, 'b');
    begin(b.holder.acquire());
    while (content()['owner'] === 'a') await world.run(0.1);
    b.network.isCut = true;
    await world.run(15_000);
    expect(b.holder.status.state).not.toBe('held');
    b.network.isCut = false;
    await world.run(5000);
    expect(b.holder.status).toMatchObject({ state: 'held', lease: { generation: 2, acknowledgedTxid: 7n } });
    expect(b.holder.inherited).toEqual({ acknowledgedTxid: 7n, isUnclean: true });
  });

  test('reports an object that is not a lease, waits, and takes over after an operator broke it', async () => {
    const { world, store } = lab();
    const warnings: unknown[] = [];
    const quiet = (): void => undefined;
    const warn = (message: string, fields: unknown): void => void warnings.push([message, fields]);
    const logger: Logger = { trace: quiet, debug: quiet, info: quiet, warn, error: quiet, child: () => logger };
    store.put(LEASE_KEY, Buffer.from('{"generation":'), new Date(0));
    const b = new Process(world, store, 'b', { logger });
    begin(b.holder.acquire());
    await world.run(40_000);
    expect(warnings).toEqual([
      ['cannot ask for the lease, trying again', { error: expect.objectContaining({ code: 'LEASE_HELD' }) as unknown }],
      ['cannot ask for the lease, trying again', expect.anything()],
    ]);
    const breaking = new Leaser(b.client, { owner: 'operator', now: () => b.machine.now() }).break();
    expect(await settled(world, breaking)).toMatchObject({ value: { generation: 0, owner: '' } });
    await world.run(28_000);
    expect(b.holder.status.state).toBe('waiting');
    await world.run(3000);
    expect(b.holder.status).toMatchObject({ state: 'held', lease: { generation: 1 } });
  });

  test('takes over within half a second of a release, whatever the wall clock', async () => {
    const { world, store, content } = lab();
    const a = await held(world, store, 'a');
    a.holder.acknowledged = () => 7n;
    const b = new Process(world, store, 'b');
    b.machine.wallOffsetMs = -86_400_000;
    begin(b.holder.acquire());
    await world.run(5000);
    expect(b.holder.status).toMatchObject({ state: 'waiting', lease: { owner: 'a', generation: 1 } });
    await settled(world, a.holder.release(), 30);
    // Whether or not the successor has asked meanwhile.
    expect(content()).toMatchObject({ acknowledged_txid: '0000000000000007' });
    await world.run(500);
    expect(b.holder.status).toMatchObject({ state: 'held', lease: { generation: 2, acknowledgedTxid: 7n } });
    expect(b.holder.inherited).toEqual({ acknowledgedTxid: 7n, isUnclean: false });
    expect(a.changes).toEqual(['held', 'released']);
  });

  test.each([7_200_000, 0, -7_200_000])(
    'waits a whole term from when it first saw the lease, with a wall clock that differs by %i ms',
    async (offsetMs) => {
      const { world, store } = lab();
      const a = await held(world, store, 'a');
      await world.run(100);
      a.holder.end();
      await world.run(600_000);
      const b = new Process(world, store, 'b');
      b.machine.wallOffsetMs = offsetMs;
      begin(b.holder.acquire());
      await world.run(29_000);
      expect(b.holder.status.state).toBe('waiting');
      await world.run(2000);
      if (offsetMs < 0) {
        // By its clock the lease is valid for hours. After twice the term it takes over in any case.
        expect(b.holder.status.state).toBe('waiting');
        await world.run(30_000);
      }
      expect(b.holder.status.state).toBe('held');
    },
  );

  test('leaves a lease of Litestream (Go) alone until it has expired by the wall clock, too', async () => {
    const { world, store, content } = lab();
    const b = new Process(world, store, 'b');
    const expiresAt = new Date(b.machine.now() + 300_000).toISOString();
    store.put(
      LEASE_KEY,
      Buffer.from(JSON.stringify({ generation: 4, expires_at: expiresAt, owner: 'go:1' })),
      new Date(0),
    );
    begin(b.holder.acquire());
    await world.run(299_000);
    expect(b.holder.status).toMatchObject({ state: 'waiting', lease: { owner: 'go:1' } });
    await world.run(2000);
    expect(content()).toMatchObject({ generation: 5, owner: 'b' });
  });

  test('rejects after its maximum wait, and names the holder', async () => {
    const { world, store } = lab();
    await held(world, store, 'a');
    const b = new Process(world, store, 'b');
    expect(await settled(world, b.holder.acquire({ waitMs: 5000 }), 6000)).toMatchObject({
      reason: { code: 'LEASE_HELD', message: expect.stringContaining('held by a until') as string },
    });
  });

  test('waits while the store cannot be reached, and stops waiting when its signal is aborted', async () => {
    const { world, store } = lab();
    const a = new Process(world, store, 'a');
    a.network.isCut = true;
    begin(a.holder.acquire());
    await world.run(30_000);
    a.network.isCut = false;
    await world.run(2000);
    expect(a.holder.status.state).toBe('held');
    const stop = new AbortController();
    const b = new Process(world, store, 'b');
    const waiting = begin(b.holder.acquire({ signal: stop.signal }));
    await world.run(2000);
    stop.abort(new Error('stopped'));
    await world.run(100);
    expect(waiting.outcome).toMatchObject({ reason: new Error('stopped') });
  });

  test('is refused where the backend has no conditions, and for a term that is too short', async () => {
    const { world, store } = lab();
    const { client, network } = new Process(world, store, 'a');
    const bare = { ...networkClient(store, network), type: 'sftp', capabilities: { conditionalCreate: true } };
    expect(await caught(async () => await new LeaseHolder(bare).acquire())).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('sftp') as string,
    });
    expect(() => new LeaseHolder(client, { ttlMs: 999 })).toThrow('at least 1000 ms');
  });
});

test('a lease is released although the store fails at first, so that the next process need not wait', async () => {
  const { world, store } = lab();
  const a = await held(world, store, 'a');
  const b = new Process(world, store, 'b');
  begin(b.holder.acquire());
  await world.run(1000);
  a.network.isCut = true;
  const released = begin(a.holder.release());
  await world.run(3000);
  a.network.isCut = false;
  await world.run(2500);
  expect(released.outcome).toMatchObject({ status: 'fulfilled' });
  expect(a.changes).toEqual(['held', 'released']);
  expect(b.holder.status).toMatchObject({ state: 'held', lease: { generation: 2 } });
});

test('a lease that was given up can be asked for again', async () => {
  const { world, store, content } = lab();
  const a = await held(world, store, 'a');
  await settled(world, a.holder.release());
  expect(content()).toMatchObject({ generation: 1, released_at: expect.any(String) as string });
  expect(await settled(world, a.holder.acquire())).toMatchObject({ status: 'fulfilled' });
  expect(content()).toMatchObject({ generation: 2 });
  expect(await settled(world, a.write())).toMatchObject({ status: 'fulfilled' });
});
