/** Machines with clocks of their own, and a store that they reach through a network: for leases, in simulated time. */
import type { Op, ReplicaClient } from '../../src/storage/contract/contract.ts';
import type { Clock } from '../../src/util/clock.ts';
import { LitestreamError } from '../../src/util/error.ts';
import { MemoryClient } from '../../src/testing/index.ts';
import type { MemoryStore, Seeded } from '../../src/testing/index.ts';

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly task: () => void;
}

/** The true time of the simulation. */
export class World {
  nowMs = 0;
  #order = 0;
  readonly #timers = new Set<Timer>();

  at(atMs: number, task: () => void): () => void {
    const timer = { atMs: Math.max(atMs, this.nowMs), order: this.#order++, task };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  async run(forMs: number): Promise<void> {
    const endMs = this.nowMs + forMs;
    for (;;) {
      await quiet();
      let next: Timer | undefined;
      for (const timer of this.#timers) {
        const isSooner = next === undefined || timer.atMs < next.atMs;
        if (isSooner || (timer.atMs === next?.atMs && timer.order < next.order)) next = timer;
      }
      if (next === undefined || next.atMs > endMs) break;
      this.nowMs = next.atMs;
      this.#timers.delete(next);
      next.task();
    }
    this.nowMs = endMs;
    await quiet();
  }
}

/** Resolves when all pending promise callbacks have run. */
export async function quiet(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => void setImmediate(resolve));
}

/** Its monotonic clock has its own speed; the test may set its wall clock. */
export class Machine implements Clock {
  readonly world: World;
  readonly #rate: number;
  wallOffsetMs = 0;
  #frozenUntilMs = 0;

  constructor(world: World, { rate = 1, wallOffsetMs = 0 }: { rate?: number; wallOffsetMs?: number } = {}) {
    this.world = world;
    this.#rate = rate;
    this.wallOffsetMs = wallOffsetMs;
  }

  now(): number {
    return Date.UTC(2026, 0, 1) + Math.floor(this.monotonic() + this.wallOffsetMs);
  }

  monotonic(): number {
    return this.world.nowMs * this.#rate;
  }

  schedule(delayMs: number, task: () => void): () => void {
    return this.#when(this.world.nowMs + delayMs / this.#rate, task);
  }

  /** Until then no timer fires, and no answer arrives: the process was stopped. */
  freeze(forMs: number): void {
    this.#frozenUntilMs = Math.max(this.#frozenUntilMs, this.world.nowMs + forMs);
  }

  get isFrozen(): boolean {
    return this.world.nowMs < this.#frozenUntilMs;
  }

  /** Runs the task then, or as soon as the process runs again. */
  #when(atMs: number, task: () => void): () => void {
    let cancel = this.world.at(atMs, () => {
      if (this.isFrozen) cancel = this.#when(this.#frozenUntilMs, task);
      else task();
    });
    return () => cancel();
  }

  deliver(afterMs: number, task: () => void): void {
    this.#when(this.world.nowMs + afterMs, task);
  }
}

/**
 * The network between one machine and the store. A request that was sent takes effect even if the machine stops or no longer
 * waits for it, possibly much later.
 */
export class Network {
  readonly machine: Machine;
  readonly #random: Seeded;
  /** No request leaves, and no answer arrives. Requests that were sent before still arrive. */
  isCut = false;
  /** Chance that a request is on its way for about this long. */
  lateRate = 0;
  lateMs = 0;
  /** Probability that a request takes effect and its answer is lost. */
  lossRate = 0;
  /** Maximum delay of a request. */
  delayMsMax = 20;

  constructor(machine: Machine, random: Seeded) {
    this.machine = machine;
    this.#random = random;
  }

  async send<T>({ signal }: Op, work: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
    const { machine } = this;
    const away = (): LitestreamError => new LitestreamError('unreachable', { code: 'NETWORK', retryable: true });
    const isLost = this.#random.next() < this.lossRate;
    const isLate = this.#random.next() < this.lateRate;
    const delayMs = isLate ? this.lateMs * (0.7 + this.#random.next()) : this.#random.next() * this.delayMsMax;
    if (this.isCut) machine.deliver(1000, () => reject(away()));
    else
      machine.world.at(machine.world.nowMs + delayMs, () => {
        void work().then(
          (result) =>
            machine.deliver(this.#random.next() * 20, () => (isLost || this.isCut ? reject(away()) : resolve(result))),
          (error: unknown) => machine.deliver(this.#random.next() * 20, () => reject(this.isCut ? away() : error)),
        );
      });
    return await promise;
  }
}

/** A client on this machine for the store that all machines share. */
export function networkClient(store: MemoryStore, network: Network): ReplicaClient {
  const inner = new MemoryClient({ store });
  const { objects } = inner;
  // The abort of a caller does not reach a request that was sent.
  const without = <T extends Op>(op: T | undefined): Omit<T, 'signal'> => {
    const { signal: _, ...rest } = op ?? ({} as T);
    return rest;
  };
  async function* listed<T>(op: Op, list: () => AsyncIterable<T>): AsyncGenerator<T> {
    yield* await network.send(op, async () => await Array.fromAsync(list()));
  }
  return {
    type: 'memory',
    capabilities: inner.capabilities,
    init: async () => await Promise.resolve(),
    ltxFiles: (level, query = {}) => listed(query, () => inner.ltxFiles(level, without(query))),
    openLtxFile: async (file, range = {}) =>
      await network.send(range, async () => await inner.openLtxFile(file, without(range))),
    writeLtxFile: async (file, body, op = {}) => {
      const bytes = Buffer.concat(await Array.fromAsync(body.open(), (chunk) => chunk.slice()));
      const whole = { size: bytes.length, open: () => oneChunk(bytes) };
      return await network.send(op, async () => await inner.writeLtxFile(file, whole, without(op)));
    },
    deleteLtxFiles: async (files, op = {}) => await network.send(op, async () => await inner.deleteLtxFiles(files)),
    deleteAll: async (op = {}) => await network.send(op, async () => await inner.deleteAll()),
    objects: {
      list: (prefix, op = {}) => listed(op, () => objects.list(prefix)),
      open: async (key, range = {}) => await network.send(range, async () => await objects.open(key, without(range))),
      put: async (key, body, op = {}) => await network.send(op, async () => await objects.put(key, body, without(op))),
      delete: async (key, op = {}) => await network.send(op, async () => await objects.delete(key, without(op))),
    },
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  };
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield bytes;
}
