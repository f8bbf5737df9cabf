/** The local level-0 files of a database: a cache for compaction, deleted when nothing needs them any more. */
import { statSync } from 'node:fs';
import type { DB, LocalFiles, LocalLtx, LtxFileInfo, TXID } from '@litestream/core';

/** Compaction reads level 0 from here where it can, in place of a request per file. */
export function localFilesOf(db: DB): LocalFiles {
  return {
    open: ({ level, minTxid, maxTxid, size }: LtxFileInfo) => {
      if (level !== 0) return undefined;
      const local = db.localLtx(0);
      return local.size(minTxid, maxTxid) === size ? local.open(minTxid, maxTxid) : undefined;
    },
  };
}

export interface TrimOptions {
  /** The lowest position of all replicas: what is beyond it has still to be sent. */
  readonly replicated: TXID;
  /** Files older than this are deleted, but for the newest one, from which the position is recovered. */
  readonly before: Date;
}

/** Deletes local files that every replica has. Returns how many. */
export function trimLocalFiles(local: LocalLtx, { replicated, before }: TrimOptions): number {
  const files = local.list();
  let count = 0;
  for (const { minTxid, maxTxid, path } of files.slice(0, -1)) {
    if (maxTxid > replicated) break;
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined || stats.mtimeMs > before.getTime()) continue;
    local.delete(minTxid, maxTxid);
    count += 1;
  }
  return count;
}
