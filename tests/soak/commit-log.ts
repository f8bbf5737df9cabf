/** What the writer committed, in order, outside of the database: one record a commit. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';

export interface CommitRecord {
  readonly txn: number;
  /** Milliseconds since 1970, before the commit was begun and after it returned. */
  readonly begunAtMs: number;
  readonly doneAtMs: number;
  /** Of the chain, hex. */
  readonly hash: string;
}

/** txn, begun and done as doubles, then the hash. Record `n` is at `(n - 1) × size`. */
const RECORD_SIZE = 24 + 32;

export class CommitLogWriter {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, 'w');
  }

  add(txn: number, begunAtMs: number, doneAtMs: number, hash: Uint8Array): void {
    const bytes = Buffer.alloc(RECORD_SIZE);
    bytes.writeDoubleLE(txn, 0);
    bytes.writeDoubleLE(begunAtMs, 8);
    bytes.writeDoubleLE(doneAtMs, 16);
    bytes.set(hash, 24);
    writeSync(this.#fd, bytes);
  }
}

export class CommitLogReader implements Disposable {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, 'r');
  }

  /** The record of a transaction; undefined if it is not written yet. */
  get(txn: number): CommitRecord | undefined {
    if (txn < 1) return undefined;
    const bytes = Buffer.alloc(RECORD_SIZE);
    if (readSync(this.#fd, bytes, 0, RECORD_SIZE, (txn - 1) * RECORD_SIZE) < RECORD_SIZE) return undefined;
    return {
      txn: bytes.readDoubleLE(0),
      begunAtMs: bytes.readDoubleLE(8),
      doneAtMs: bytes.readDoubleLE(16),
      hash: bytes.subarray(24).toString('hex'),
    };
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
