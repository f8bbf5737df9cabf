/** A replica in memory, filled with real LTX files, and a clock that a test owns. */
import { LtxDecoder, LtxEncoder, newHeader } from '@litestream/ltx';
import type { LtxFileInfo, ReplicaClient } from '../src/storage/contract/contract.ts';
import type { Clock } from '../src/util/clock.ts';

export class FakeClock implements Clock {
  #startMs: number;
  #elapsedMs = 0;
  readonly #timers = new Set<{ atMs: number; task: () => void }>();

  constructor(nowMs = 1_000_000_000) {
    this.#startMs = nowMs;
  }

  now(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  /** Somebody sets the clock, ahead or back. No time passes. */
  set(deltaMs: number): void {
    this.#startMs += deltaMs;
  }

  schedule(delayMs: number, task: () => void): () => void {
    const timer = { atMs: this.#elapsedMs + delayMs, task };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Timers that are armed. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves on, running what falls due, in order, and lets what it starts settle. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#elapsedMs + durationMs;
    for (;;) {
      const next = [...this.#timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#elapsedMs = next.atMs;
      next.task();
      await settle();
    }
    this.#elapsedMs = endMs;
    await settle();
  }
}

/** Gives everything that is not waiting for a timer of the clock the time to finish. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

export interface FileSpec {
  readonly minTxid: bigint;
  readonly maxTxid?: bigint;
  readonly level?: number;
  /** Page number → the byte it is filled with. */
  readonly pages: ReadonlyMap<number, number>;
  readonly commit?: number;
  readonly pageSize?: number;
  readonly timestampMs?: number;
}

export function encodeFile(spec: FileSpec): Uint8Array {
  const pageSize = spec.pageSize ?? 512;
  const pgnos = [...spec.pages.keys()].sort((a, b) => a - b);
  const encoder = new LtxEncoder(
    newHeader({
      pageSize,
      commit: spec.commit ?? Math.max(...pgnos),
      minTxid: spec.minTxid,
      maxTxid: spec.maxTxid ?? spec.minTxid,
      timestampMs: spec.timestampMs ?? Number(spec.minTxid) * 1000,
      walOffset: 32,
    }),
  );
  const pages = new Uint8Array(pgnos.length * pageSize);
  for (const [i, pgno] of pgnos.entries()) pages.fill(spec.pages.get(pgno) ?? 0, i * pageSize, (i + 1) * pageSize);
  const chunks = [encoder.begin().slice(), encoder.encodePages(pgnos, pages).slice(), encoder.finish().slice()];
  return new Uint8Array(Buffer.concat(chunks));
}

export async function store(client: ReplicaClient, spec: FileSpec): Promise<LtxFileInfo> {
  const bytes = encodeFile(spec);
  const file = {
    level: spec.level ?? 0,
    minTxid: spec.minTxid,
    maxTxid: spec.maxTxid ?? spec.minTxid,
    timestamp: new Date(spec.timestampMs ?? Number(spec.minTxid) * 1000),
  };
  return await client.writeLtxFile(file, { size: bytes.length, open: () => chunksOf(bytes) });
}

/** Page number → first byte, of a stored file, fully verified. */
export async function pagesOf(client: ReplicaClient, file: LtxFileInfo): Promise<Map<number, number>> {
  const decoder = new LtxDecoder(await client.openLtxFile(file));
  const { pageSize } = await decoder.header();
  const pages = new Map<number, number>();
  for await (const batch of decoder.batches()) {
    for (const [i, pgno] of batch.pgnos.entries()) pages.set(pgno, batch.pages[i * pageSize] ?? -1);
  }
  await decoder.finish();
  return pages;
}

export async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100);
}
