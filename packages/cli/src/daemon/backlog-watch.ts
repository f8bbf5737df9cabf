import type { DB } from '@litestream/core';
import type { RunningReplica } from './running-replica.ts';
import { isTooFarBehind } from './services/backlog.ts';
import type { Services } from './services/services.ts';

/**
 * Files that wait for a slow replica, or one that is down, go when they outweigh a snapshot and another replica has them: looks
 * whether there are such files, at most once in an interval of the retention of level 0.
 */
export class BacklogWatch {
  readonly #db: DB;
  readonly #replicas: readonly RunningReplica[];
  readonly #config: Services['config'];
  #lookedAtMs = 0;

  constructor(db: DB, replicas: readonly RunningReplica[], config: Services['config']) {
    this.#db = db;
    this.#replicas = replicas;
    this.#config = config;
  }

  look(): void {
    const { l0RetentionCheckIntervalMs, l0RetentionMs } = this.#config;
    const nowMs = Date.now();
    if (nowMs - this.#lookedAtMs < l0RetentionCheckIntervalMs) return;
    this.#lookedAtMs = nowMs;
    const positions = this.#replicas.map(({ replica }) => replica.position.txid);
    const farthest = positions.reduce((max, txid) => (txid > max ? txid : max), 0n);
    for (const replica of this.#replicas) {
      const { txid } = replica.replica.position;
      if (txid >= farthest || !isTooFarBehind(this.#db, txid, farthest)) continue;
      replica.forgo(new Date(nowMs - l0RetentionMs));
    }
  }
}
