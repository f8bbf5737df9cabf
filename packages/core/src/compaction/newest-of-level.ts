/**
 * The newest file of each level, remembered. It is listed once, at the first request, and then each write updates it: a
 * level without writes costs no request.
 */
import { isSnapshotFile, SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';

export class NewestOfLevel {
  readonly #client: ReplicaClient;
  readonly #tops = new Map<number, LtxFileInfo | undefined>();

  constructor(client: ReplicaClient) {
    this.#client = client;
  }

  /** The file of `level` with the greatest last TXID, at level 9 the newest snapshot; undefined if there is none. */
  async get(level: number, op: Op = {}): Promise<LtxFileInfo | undefined> {
    if (this.#tops.has(level)) return this.#tops.get(level);
    let top: LtxFileInfo | undefined;
    for await (const file of this.#client.ltxFiles(level, op)) {
      if (level === SNAPSHOT_LEVEL && !isSnapshotFile(file)) continue;
      if (top === undefined || file.maxTxid > top.maxTxid) top = file;
    }
    this.#tops.set(level, top);
    return top;
  }

  /** Is the end of this level known without asking? */
  isKnown(level: number): boolean {
    return this.#tops.has(level);
  }

  /** The newest file of each level, as just listed: levels that are not among them are empty. */
  learn(tops: ReadonlyMap<number, LtxFileInfo>): void {
    for (let level = 1; level <= SNAPSHOT_LEVEL; level++) {
      const top = tops.get(level);
      // A file that is no snapshot may hide one: then that level is listed at its first request.
      if (level === SNAPSHOT_LEVEL && top !== undefined && !isSnapshotFile(top)) continue;
      if (!this.#tops.has(level)) this.#tops.set(level, top);
    }
  }

  /** The newest file of a level if that is known without asking, and there is one. */
  known(level: number): LtxFileInfo | undefined {
    return this.#tops.get(level);
  }

  set(level: number, file: LtxFileInfo): void {
    this.#tops.set(level, file);
  }

  /** Forgets everything: another process changed the replica, or the result of a write is not known. */
  clear(): void {
    this.#tops.clear();
  }
}
