/**
 * The checksum of each page of a database at one transaction, and that of the whole database: the xor of all of them, as LTX
 * defines it. A transaction that changes n pages costs O(n).
 */
import { CHECKSUM_FLAG } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';

/** One page checksum, in bytes. */
export const ENTRY_SIZE = 8;
/** Checksums that are written to the disk together: 4 KiB. */
export const BLOCK_ENTRIES = 512;

/** Memory: 8 bytes for each page, and up to a quarter more while the database grows. */
export class PageLedger {
  readonly pageSize: number;
  /** Blocks that changed since the last call of `takeChangedBlocks`. */
  readonly #changed = new Set<number>();
  #txid: TXID;
  #pageCount: number;
  /** Of page n at index n - 1; 0 for the lock page. */
  #checksums: BigUint64Array<ArrayBuffer>;
  /** Xor of all, without the flag. */
  #xor: bigint;

  /** `checksums`: of all pages, in order, 0 for the lock page. The ledger owns the array from now on. */
  constructor(pageSize: number, txid: TXID, checksums: BigUint64Array<ArrayBuffer>) {
    this.pageSize = pageSize;
    this.#txid = txid;
    this.#pageCount = checksums.length;
    this.#checksums = checksums;
    this.#xor = xorOf(checksums);
  }

  /** The last transaction that the ledger includes. */
  get txid(): TXID {
    return this.#txid;
  }

  /** Pages of the database, including the lock page. */
  get pageCount(): number {
    return this.#pageCount;
  }

  /** Checksum of the database, with the flag that every LTX checksum has: never 0. */
  get databaseChecksum(): bigint {
    return CHECKSUM_FLAG | this.#xor;
  }

  /** Checksums of all pages, in order. A view, valid until the next change. */
  get checksums(): BigUint64Array<ArrayBuffer> {
    return this.#checksums.subarray(0, this.#pageCount);
  }

  /**
   * Xor of the checksums of the pages that a transaction does not change: those that are not in `pgnos`, up to
   * `pageCount`, the size of the database after it. Without the flag.
   */
  xorOfOthers(pgnos: Uint32Array, pageCount: number): bigint {
    const words = wordsOf(this.#checksums);
    let low = 0;
    let high = 0;
    for (const pgno of pgnos) {
      if (pgno > this.#pageCount) continue;
      low ^= words[2 * pgno - 2] as number;
      high ^= words[2 * pgno - 1] as number;
    }
    const cut = pageCount < this.#pageCount ? xorOf(this.#checksums.subarray(pageCount, this.#pageCount)) : 0n;
    return this.#xor ^ toBigint(low, high) ^ cut;
  }

  /** Applies the next transaction: its pages, ascending, and their checksums. */
  apply(txid: TXID, pageCount: number, pgnos: Uint32Array, checksums: BigUint64Array): void {
    const xor = this.xorOfOthers(pgnos, pageCount) ^ xorOf(checksums);
    this.#resize(pageCount);
    for (let index = 0; index < pgnos.length; index++) {
      const at = (pgnos[index] as number) - 1;
      this.#checksums[at] = checksums[index] as bigint;
      this.#changed.add(Math.floor(at / BLOCK_ENTRIES));
    }
    this.#xor = xor & ~CHECKSUM_FLAG;
    this.#txid = txid;
  }

  /** Indexes in `pgnos` of the pages that differ from the ledger. */
  differing(pgnos: Uint32Array, checksums: BigUint64Array): Uint32Array {
    const found = new Uint32Array(pgnos.length);
    const theirs = wordsOf(checksums);
    const ours = wordsOf(this.#checksums);
    let count = 0;
    for (let index = 0; index < pgnos.length; index++) {
      const at = (pgnos[index] as number) - 1;
      const isSame =
        at < this.#pageCount && theirs[2 * index] === ours[2 * at] && theirs[2 * index + 1] === ours[2 * at + 1];
      if (isSame) continue;
      found[count] = index;
      count += 1;
    }
    return found.slice(0, count);
  }

  /** Numbers of the blocks that changed since the last call, ascending. */
  takeChangedBlocks(): number[] {
    const blocks = [...this.#changed].sort((a, b) => a - b);
    this.#changed.clear();
    return blocks;
  }

  #resize(pageCount: number): void {
    const before = this.#pageCount;
    if (pageCount > this.#checksums.length) {
      const grown = new BigUint64Array(Math.max(pageCount, Math.ceil(before * 1.25)));
      grown.set(this.checksums);
      this.#checksums = grown;
    }
    // If the database grows, the transaction contains every new page. Pages after the end of the database do not count.
    if (pageCount < before) this.#checksums.fill(0n, pageCount, before);
    this.#pageCount = pageCount;
  }
}

/** Xor of checksums, without the flag. */
export function xorOf(checksums: BigUint64Array): bigint {
  const words = wordsOf(checksums);
  let low = 0;
  let high = 0;
  for (let index = 0; index < words.length; index += 2) {
    low ^= words[index] as number;
    high ^= words[index + 1] as number;
  }
  return toBigint(low, high);
}

/** 32-bit arithmetic is many times faster than bigint. The low half comes first, because WASM is little-endian, too. */
function wordsOf({ buffer, byteOffset, length }: BigUint64Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, 2 * length);
}

function toBigint(low: number, high: number): bigint {
  return ((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)) & ~CHECKSUM_FLAG;
}
