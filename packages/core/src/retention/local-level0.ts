/**
 * The local level-0 files of one database, as the store of its replicas uses them: compaction reads them in place of the
 * remote objects, and they are deleted once no replica needs them.
 */
import { statSync } from 'node:fs';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo } from '../storage/contract/contract.ts';
import { DEFAULTS } from '../util/defaults.ts';
import { systemClock } from '../util/clock.ts';
import type { LocalLtx } from '../local-ltx/local-ltx.ts';
import { FileAges } from './file-ages.ts';
import type { LocalFiles, ReleasedUpTo } from '../compaction/compactor.ts';

export class LocalLevel0 {
  readonly #local: LocalLtx;
  /** Each replica needs no file that ends before this TXID. */
  readonly #needed = new Map<object, TXID>();

  constructor(local: LocalLtx) {
    this.#local = local;
  }

  /** The view of one replica on the files; each replica of the database needs its own. */
  forReplica(): LocalFiles {
    const replica = {};
    this.#needed.set(replica, 0n);
    return {
      path: (file) => this.#path(file),
      release: (upTo) => {
        this.#needed.set(replica, upTo.txid);
        return this.#release(upTo);
      },
    };
  }

  /** Another size means other content: a file of the same transaction from another timeline. */
  #path({ level, minTxid, maxTxid, size }: LtxFileInfo): string | undefined {
    if (level !== 0 || this.#local.size(minTxid, maxTxid) !== size) return undefined;
    return this.#local.path(minTxid, maxTxid);
  }

  /** Keeps the newest file, from which the position is recovered, and an unbroken chain before it. */
  #release({ before, seenTo = 0n, deleting }: ReleasedUpTo): { readonly deleted: number; readonly left: number } {
    const needed = [...this.#needed.values()].reduce((lowest, txid) => (txid < lowest ? txid : lowest));
    const files = this.#local.list();
    let deleted = 0;
    for (const { minTxid, maxTxid, path } of files.slice(0, -1)) {
      if (maxTxid >= needed) break;
      const stats = statSync(path, { throwIfNoEntry: false });
      if (stats !== undefined && stats.mtimeMs > before.getTime() && maxTxid > seenTo) break;
      deleting?.({ minTxid, maxTxid, path });
      this.#local.delete(minTxid, maxTxid);
      deleted += 1;
    }
    return { deleted, left: files.length - deleted };
  }
}

/** For a replica without a store: deletes uploaded files that are old enough, after each upload. */
export function releaseOnUpload(local: LocalFiles, retentionMs: number): (position: { readonly txid: TXID }) => void {
  const ages = new FileAges(systemClock, retentionMs);
  let checkedAtMs = Number.NEGATIVE_INFINITY;
  return ({ txid }) => {
    const nowMs = systemClock.monotonic();
    if (nowMs - checkedAtMs < DEFAULTS.level0CheckIntervalMs) return;
    checkedAtMs = nowMs;
    local.release?.({ txid, ...ages.look(txid, undefined) });
  };
}
