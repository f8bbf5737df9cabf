/** How long local files are kept for a replica that does not take them. */
import { statSync } from 'node:fs';
import type { DB, TXID } from '@litestream/core';

/** A snapshot of any size is cheaper than this many uploads. */
const FILES_MAX = 10_000;
/** Fewer bytes are kept even if a snapshot is smaller. */
const BYTES_MIN = 64 * 1024 * 1024;

/**
 * Whether the files that a replica lacks outweigh a snapshot. Only files that another replica has count: files that no
 * replica has are never deleted.
 */
export function isTooFarBehind(db: DB, position: TXID, farthest: TXID): boolean {
  const bytesMax = Math.max(BYTES_MIN, statSync(db.path, { throwIfNoEntry: false })?.size ?? 0);
  const waiting = db
    .localLtx(0)
    .list()
    .filter(({ maxTxid }) => maxTxid > position && maxTxid <= farthest);
  if (waiting.length > FILES_MAX) return true;
  let bytes = 0;
  for (const { path } of waiting) {
    bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (bytes > bytesMax) return true;
  }
  return false;
}
