import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../../storage/contract/contract.ts';
import { SNAPSHOT_LEVEL } from '../../storage/contract/levels.ts';
import type { Logger } from '../../util/logger.ts';
import { traced } from '../../util/tracing.ts';
import { bodyOfFile } from './local-file.ts';
import type { ReplicaDb } from '../position/replica-db.ts';
import { uploadFile } from './upload-file.ts';

export interface SnapshotParts {
  readonly client: ReplicaClient;
  readonly db: ReplicaDb;
  readonly logger: Logger;
  /**
   * Called with the transaction of the snapshot before it is written; if this rejects, the snapshot is not written. A
   * snapshot replaces all files before it, regardless of which process wrote them: so the level-0 files up to it are
   * uploaded first, which fails if another process has written there.
   */
  readonly prove: (txid: TXID) => Promise<void>;
}

/** Uploads a snapshot of the database as it is now. */
export async function uploadSnapshot({ client, db, logger, prove }: SnapshotParts, options: Op): Promise<LtxFileInfo> {
  const facts = (): Record<string, unknown> => ({ replica: client.type });
  return await traced('snapshot', facts, async () => {
    await using snapshot = await db.snapshot(options);
    const { txid } = snapshot.position;
    await prove(txid);
    const { size, path } = snapshot;
    const body = path === undefined ? { size, open: () => snapshot.body } : bodyOfFile(path, size);
    const timestamp = new Date(snapshot.header.timestampMs);
    const file = { level: SNAPSHOT_LEVEL, minTxid: 1n, maxTxid: txid, timestamp, body };
    return await uploadFile(client, file, { ...options, logger });
  });
}
