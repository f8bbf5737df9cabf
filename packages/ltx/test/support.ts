import fc from 'fast-check';
import { LtxDecoder, LtxEncoder, newHeader } from '../src/index.ts';
import type { LtxHeader } from '../src/index.ts';

export const PAGE_SIZES = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536] as const;

/** Seeds everything random in a test file from one number, printed: `SEED=… vitest run` repeats a run. */
export function seedTests(): number {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`seed ${seed}`);
  fc.configureGlobal({ seed });
  return seed;
}

/** A small generator of random numbers in 0 … 2^32 - 1 (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** CRC-64/GO-ISO bit by bit, straight from its definition. */
export function crc64Reference(bytes: Uint8Array, seed = 0n): bigint {
  const all = 2n ** 64n - 1n;
  let crc = seed ^ all;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1n ? (crc >> 1n) ^ 0xd800000000000000n : crc >> 1n;
  }
  return crc ^ all;
}

/** Fills a page with data of one of several kinds, from empty to incompressible. */
export function fillPage(page: Uint8Array, random: () => number): void {
  const kind = random() % 7;
  const span = 1 + (random() % 40);
  for (let i = 0; i < page.length; i += 1) {
    if (kind === 0) page[i] = 0;
    else if (kind === 1) page[i] = random();
    else if (kind === 2) page[i] = i % span;
    else if (kind === 3) page[i] = random() % 4;
    else if (kind === 4) page[i] = i < page.length / 2 ? 0 : random();
    else if (kind === 5) page[i] = random() % 50 === 0 ? random() : (i * 7) >> 5;
    else page[i] = (page[i - 1 - (random() % span)] ?? span) + (random() % 90 === 0 ? 1 : 0);
  }
}

/** `count` pages of data. */
export function makePages(count: number, pageSize: number, random: () => number): Uint8Array {
  const pages = new Uint8Array(count * pageSize);
  for (let i = 0; i < count; i += 1) fillPage(pages.subarray(i * pageSize, (i + 1) * pageSize), random);
  return pages;
}

/** A source that yields `bytes` in chunks of this size. */
export async function* chunked(bytes: Uint8Array, chunkSize = 65536): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += chunkSize) yield bytes.slice(at, at + chunkSize);
}

export function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((total, chunk) => total + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return concat(chunks);
}

/** Writes a whole file, `batch` pages a call. */
export function encodeFile(
  header: Parameters<typeof newHeader>[0],
  pgnos: readonly number[],
  pages: Uint8Array,
  options: { readonly batch?: number; readonly postApplyChecksum?: bigint } = {},
): Uint8Array {
  const encoder = new LtxEncoder(newHeader({ timestampMs: 1_700_000_000_000, ...header }));
  const chunks = [encoder.begin().slice()];
  const batch = options.batch ?? 64;
  for (let i = 0; i < pgnos.length; i += batch) {
    const part = pgnos.slice(i, i + batch);
    const data = pages.subarray(i * header.pageSize, (i + part.length) * header.pageSize);
    chunks.push(encoder.encodePages(part, data).slice());
  }
  chunks.push(encoder.finish(options.postApplyChecksum).slice());
  return concat(chunks);
}

export interface DecodedFile {
  readonly header: LtxHeader;
  readonly pgnos: number[];
  readonly pages: Uint8Array;
  readonly frames: Uint8Array;
  readonly postApplyChecksum: bigint;
  readonly fileChecksum: bigint;
  readonly size: number;
}

/** Reads a whole file. */
export async function decodeFile(source: AsyncIterable<Uint8Array>, batchSize = 256 * 1024): Promise<DecodedFile> {
  const decoder = new LtxDecoder(source, { batchSize, file: 'test.ltx' });
  const header = await decoder.header();
  const pgnos: number[] = [];
  const pages: Uint8Array[] = [];
  const frames: Uint8Array[] = [];
  for await (const batch of decoder.batches()) {
    pgnos.push(...batch.pgnos);
    pages.push(batch.pages.slice());
    frames.push(batch.frames.slice());
  }
  const trailer = await decoder.finish();
  return { header, pgnos, pages: concat(pages), frames: concat(frames), ...trailer };
}

/** 1, 2, … n. */
export function upTo(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1);
}
