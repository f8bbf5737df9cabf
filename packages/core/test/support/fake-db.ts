/** A database that exists only as local level-0 files and the states they make. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newHeader, formatLtxFilename } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { Position, SnapshotStream } from '../../src/index.ts';
import type { ReplicaDb } from '../../src/replica/position/replica-db.ts';
import { Seeded } from '../../src/testing/index.ts';
import { encodeLtx, History, once } from './ltx-history.ts';

export class FakeDb implements ReplicaDb {
  readonly history: History;
  readonly #folder: string;
  readonly #listeners = new Set<(position: Position) => void>();
  position: Position = { txid: 0n };
  baseline: TXID | undefined;
  /** Commits that the next `sync` picks up. */
  pending = 0;
  syncCount = 0;
  snapshotCount = 0;

  constructor(folder: string, txidMax = 60, random = new Seeded(11), pageCountMax = 5) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    this.history = new History({ pageSize: 512, txidMax, pageCountMax, entropy: 0.1 }, random);
  }

  pathOf(txid: TXID): string {
    return join(this.#folder, formatLtxFilename(txid, txid));
  }

  /** One more transaction, as a local file. */
  commit(): void {
    const txid = this.position.txid + 1n;
    writeFileSync(this.pathOf(txid), this.history.files[Number(txid) - 1] ?? Buffer.alloc(0));
    this.#moveTo(txid);
  }

  #moveTo(txid: TXID): void {
    this.position = { txid };
    for (const listener of this.#listeners) listener(this.position);
  }

  lose(txid: TXID): void {
    rmSync(this.pathOf(txid));
  }

  localLtx(): ReturnType<ReplicaDb['localLtx']> {
    const txids = Array.from({ length: Number(this.position.txid) }, (_, index) => BigInt(index + 1));
    return {
      path: (minTxid) => this.pathOf(minTxid),
      list: () =>
        txids.filter((txid) => existsSync(this.pathOf(txid))).map((txid) => ({ minTxid: txid, maxTxid: txid })),
      delete: (minTxid) => this.lose(minTxid),
    };
  }

  onChange(listener: (position: Position) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  async sync(): Promise<Position> {
    this.syncCount++;
    await Promise.resolve();
    for (; this.pending > 0; this.pending--) this.commit();
    return this.position;
  }

  async syncWhole(_reason?: string, { above = 0n }: { readonly above?: TXID | undefined } = {}): Promise<Position> {
    await Promise.resolve();
    const txid = (above > this.position.txid ? above : this.position.txid) + 1n;
    const state = this.history.states[Number(txid) - 1] ?? Buffer.alloc(0);
    const { pageSize } = this.history.shape;
    const commit = state.length / pageSize;
    const pages = new Map(
      Array.from({ length: commit }, (_, index) => [
        index + 1,
        state.subarray(index * pageSize, (index + 1) * pageSize),
      ]),
    );
    const header = { pageSize, commit, minTxid: txid, maxTxid: txid, timestampMs: History.commitMs(txid) };
    writeFileSync(this.pathOf(txid), encodeLtx(header, pages));
    this.#moveTo(txid);
    return this.position;
  }

  async snapshot(): Promise<SnapshotStream> {
    this.snapshotCount++;
    const { txid } = this.position;
    const bytes = await this.history.merged(1, Number(txid));
    return {
      position: this.position,
      header: newHeader({ pageSize: 512, commit: 1, minTxid: 1n, maxTxid: txid, timestampMs: History.commitMs(txid) }),
      size: bytes.length,
      body: { [Symbol.asyncIterator]: () => once(bytes) },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
}
