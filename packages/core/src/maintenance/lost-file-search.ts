/**
 * Looks whether files that were on the backend are gone. A backend reports no deletion, so the process that writes looks: once
 * in an interval of level 1, and not at all at a database that nothing was written to.
 */
import { HEADER_SIZE, isLtxError } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import { isSnapshotFile, SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';
import { readLtxHeader } from '../storage/reading/read-header.ts';
import type { Clock } from '../util/clock.ts';
import { hasCode } from '../util/error.ts';
import type { NewestOfLevel } from '../compaction/newest-of-level.ts';

export class LostFileSearch {
  readonly #client: ReplicaClient;
  readonly #tops: NewestOfLevel;
  readonly #clock: Clock;

  constructor(client: ReplicaClient, tops: NewestOfLevel, clock: Clock) {
    this.#client = client;
    this.#tops = tops;
    this.#clock = clock;
  }

  /** Is the snapshot gone that restores start from, or the newest file of level 1 where they need it? Reads two headers at most. */
  async isBaseGone(op: Op): Promise<boolean> {
    const base = this.#tops.known(SNAPSHOT_LEVEL);
    const top = this.#tops.known(1);
    // What is not known yet is about to be listed.
    if (base !== undefined && (await this.#isGone(base, op))) return true;
    return top !== undefined && top.maxTxid > (base?.maxTxid ?? 0n) && (await this.#isGone(top, op));
  }

  /** The end of level 0, as it was before a compaction, was neither merged by it nor is it there. */
  async isEndGone(end: TXID, op: Op): Promise<boolean> {
    if ((this.#tops.known(1)?.maxTxid ?? 0n) >= end) return false;
    return await this.#isGone({ level: 0, minTxid: end, maxTxid: end, size: HEADER_SIZE, timestamp: new Date(0) }, op);
  }

  /** It is not there, and no snapshot holds what it held. */
  async #isGone(file: LtxFileInfo, op: Op): Promise<boolean> {
    if (await this.#isThere(file, op)) return false;
    for await (const snapshot of this.#client.ltxFiles(SNAPSHOT_LEVEL, op)) {
      if (isSnapshotFile(snapshot) && snapshot.maxTxid >= file.maxTxid) return false;
    }
    return true;
  }

  async #isThere(file: LtxFileInfo, op: Op): Promise<boolean> {
    try {
      await readLtxHeader(this.#client, file, { clock: this.#clock, ...op });
      return true;
    } catch (error) {
      if (hasCode(error, 'OBJECT_CHANGED') || isLtxError(error)) return true; // it is there, whatever it holds
      if (!hasCode(error, 'NOT_FOUND')) throw error;
      return false;
    }
  }
}
