/** Histories of a database made up page by page, as LTX files and as the states they must restore to. */
import { LtxEncoder, lockPageNumber, mergeLtx, newHeader } from '@litestream/ltx';
import type { LtxHeader } from '@litestream/ltx';
import type { LtxFileInfo, ReplicaClient } from '../../src/storage/contract/contract.ts';
import type { Seeded } from '../../src/testing/seeded.ts';

/** One LTX file with these pages, which ascend by number. */
export function encodeLtx(
  header: Partial<LtxHeader> & Pick<LtxHeader, 'pageSize' | 'commit' | 'minTxid' | 'maxTxid'>,
  pages: ReadonlyMap<number, Uint8Array>,
): Buffer {
  const encoder = new LtxEncoder(newHeader(header));
  const parts: Uint8Array[] = [encoder.begin().slice()];
  const pgnos = [...pages.keys()].sort((a, b) => a - b);
  for (const pgno of pgnos) parts.push(encoder.encodePages([pgno], pages.get(pgno) ?? new Uint8Array()).slice());
  parts.push(encoder.finish().slice());
  return Buffer.concat(parts);
}

export interface HistoryShape {
  readonly pageSize: number;
  readonly txidMax: number;
  /** Smallest and largest database, in pages. Default minimum: 1. */
  readonly pageCountMin?: number;
  readonly pageCountMax: number;
  /** 0: repeats a byte, 1: random bytes. */
  readonly entropy: number;
}

/** Random commits that change, grow and shrink a database. */
export class History {
  readonly shape: HistoryShape;
  /** Level-0 file of TXID n at n - 1. */
  readonly files: Buffer[] = [];
  /** The database after TXID n at n - 1. */
  readonly states: Buffer[] = [];
  readonly #random: Seeded;

  constructor(shape: HistoryShape, random: Seeded) {
    this.shape = shape;
    this.#random = random;
    let state: Uint8Array[] = [];
    for (let txid = 1; txid <= shape.txidMax; txid++) state = this.#commit(BigInt(txid), state);
  }

  static commitMs(txid: bigint): number {
    return Date.UTC(2026, 5, 1) + Number(txid) * 1000;
  }

  #commit(txid: bigint, before: readonly Uint8Array[]): Uint8Array[] {
    const { pageSize, pageCountMin = 1, pageCountMax } = this.shape;
    const random = this.#random;
    const commit =
      txid === 1n || random.next() < 0.5 ? pageCountMin + random.below(pageCountMax - pageCountMin + 1) : before.length;
    const pages = new Map<number, Uint8Array>();
    const after = before.slice(0, commit);
    for (let index = 0; index < commit; index++) {
      if (index < before.length && random.next() > 0.3) continue;
      after[index] = this.#page();
      pages.set(index + 1, after[index] ?? new Uint8Array());
    }
    // A commit always carries page 1: SQLite counts changes on it.
    if (!pages.has(1)) pages.set(1, (after[0] = this.#page()));
    this.files.push(
      encodeLtx({ pageSize, commit, minTxid: txid, maxTxid: txid, timestampMs: History.commitMs(txid) }, pages),
    );
    this.states.push(Buffer.concat(after));
    return after;
  }

  #page(): Uint8Array {
    const { pageSize, entropy } = this.shape;
    const page = new Uint8Array(pageSize).fill(this.#random.below(4));
    for (let at = 0; at < pageSize * entropy; at++) page[at] = this.#random.below(256);
    return page;
  }

  /** Files `min` … `max` merged into one. */
  async merged(min: number, max: number): Promise<Buffer> {
    const inputs = this.files.slice(min - 1, max).map((bytes) => ({ source: once(bytes) }));
    const parts: Uint8Array[] = [];
    for await (const chunk of mergeLtx(inputs)) parts.push(chunk.slice());
    return Buffer.concat(parts);
  }
}

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

/** Puts a file of these TXIDs on a replica, stamped with the time of its last commit. */
export async function upload(
  client: ReplicaClient,
  level: number,
  [min, max]: readonly [number, number],
  bytes: Uint8Array,
): Promise<LtxFileInfo> {
  const timestamp = new Date(History.commitMs(BigInt(max)));
  const file = { level, minTxid: BigInt(min), maxTxid: BigInt(max), timestamp };
  return client.writeLtxFile(file, { size: bytes.length, open: () => once(bytes) });
}

/** A database of zeros but for these pages, as one snapshot. Encodes whole batches: a gigabyte takes a second. */
export function encodeSparse(pageSize: number, commit: number, filled: ReadonlyMap<number, Uint8Array>): Buffer {
  const header = { pageSize, commit, minTxid: 1n, maxTxid: 1n, timestampMs: History.commitMs(1n) };
  const encoder = new LtxEncoder(newHeader(header));
  const parts: Uint8Array[] = [encoder.begin().slice()];
  const batchCount = Math.max(1, (1 << 20) / pageSize);
  for (let first = 1; first <= commit; first += batchCount) {
    const pgnos: number[] = [];
    const last = Math.min(commit, first + batchCount - 1);
    for (let pgno = first; pgno <= last; pgno++) if (pgno !== lockPageNumber(pageSize)) pgnos.push(pgno);
    const pages = new Uint8Array(pgnos.length * pageSize);
    pgnos.forEach((pgno, index) => {
      const page = filled.get(pgno);
      if (page !== undefined) pages.set(page, index * pageSize);
    });
    if (pgnos.length > 0) parts.push(encoder.encodePages(pgnos, pages).slice());
  }
  parts.push(encoder.finish().slice());
  return Buffer.concat(parts);
}
