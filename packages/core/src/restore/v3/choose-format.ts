import type { LtxFileInfo, ReplicaClient } from '../../storage/contract/contract.ts';
import type { Logger } from '../../util/logger.ts';
import { timeOf } from './listing.ts';
import type { V3Listing } from './listing.ts';
import { SNAPSHOT_LEVEL } from '../../storage/contract/levels.ts';

export interface FormatContext {
  readonly client: ReplicaClient;
  readonly timestamp: Date | undefined;
  readonly logger: Logger;
  readonly signal: AbortSignal | undefined;
}

/**
 * Should the v0.3 format be restored, if a replica holds both formats, as after an upgrade? The rule of Litestream
 * (Go): the newest state is that of the format that was written to last; the state at a time is that of the format with
 * the nearest snapshot before it.
 */
export async function prefersV3(listing: V3Listing, context: FormatContext): Promise<boolean> {
  const { timestamp, logger } = context;
  const files = await listAll(context);
  if (files.length === 0) {
    logger.debug('using v0.3.x restore (no LTX backups)');
    return true;
  }
  if (timestamp === undefined) {
    const updatedAtMs = files.reduce((max, file) => Math.max(max, file.timestamp.getTime()), 0);
    if (listing.updatedAt.getTime() <= updatedAtMs) return false;
    logger.debug('using v0.3.x restore (more recent backup)', {
      v3_updated_at: listing.updatedAt,
      ltx_updated_at: new Date(updatedAtMs),
    });
    return true;
  }
  const untilMs = timestamp.getTime();
  const v3 = listing.snapshots.findLast((file) => timeOf(file) <= untilMs);
  if (v3 === undefined) return false;
  const ltx = files.findLast((file) => file.level === SNAPSHOT_LEVEL && file.timestamp.getTime() < untilMs);
  if (ltx !== undefined && ltx.timestamp.getTime() >= timeOf(v3)) return false;
  logger.debug('using v0.3.x restore (better snapshot for timestamp)', { v3_snapshot: v3.object.lastModified });
  return true;
}

async function listAll({ client, timestamp, signal }: FormatContext): Promise<LtxFileInfo[]> {
  const files: LtxFileInfo[] = [];
  for (let level = 0; level <= SNAPSHOT_LEVEL; level++) {
    for await (const file of client.ltxFiles(level, { useMetadata: timestamp !== undefined, signal })) {
      signal?.throwIfAborted();
      files.push(file);
    }
  }
  return files;
}
