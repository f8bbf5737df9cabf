import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import type { Logger } from '../util/logger.ts';
import type { Cut } from './cut.ts';
import type { Level0Uploader } from './level0-uploader.ts';
import type { RemoteEnds } from './position/remote-ends.ts';
import type { ReplicaDb } from './position/replica-db.ts';
import { uploadSnapshot } from './upload/upload-snapshot.ts';

export interface SnapshotUploaderParts {
  readonly client: ReplicaClient;
  readonly db: ReplicaDb;
  readonly logger: Logger;
  readonly ends: RemoteEnds;
  readonly cut: Cut;
  readonly uploader: Level0Uploader;
  /** Called for each snapshot that is on the replica. Must not throw. */
  readonly onSnapshot: (file: LtxFileInfo) => void;
  /** Called when a snapshot has replaced files that were gone: what is on the replica counts again. */
  readonly onHealed: () => void;
}

/** Uploads snapshots of one database to level 9 of its replica. */
export class SnapshotUploader {
  readonly #parts: SnapshotUploaderParts;

  constructor(parts: SnapshotUploaderParts) {
    this.#parts = parts;
  }

  /** `prove` uploads what comes before the snapshot, which takes the place of that; see `SnapshotParts`. */
  async take(options: Op, prove: (txid: TXID) => Promise<void>): Promise<LtxFileInfo> {
    const { client, db, logger, ends, cut, uploader, onSnapshot, onHealed } = this.#parts;
    ends.takeTops();
    const parts = {
      client,
      db,
      logger,
      prove: async (txid: TXID): Promise<void> => {
        uploader.requireSameDatabase();
        await prove(txid);
        uploader.requireSameDatabase();
      },
    };
    const info = await ends.writing(() => uploadSnapshot(parts, options));
    const wasCut = cut.heal();
    db.snapshotKept?.();
    onSnapshot(info);
    if (wasCut) onHealed();
    return info;
  }

  /**
   * Replaces files that are gone, after first contact and while no other work runs on the replica. Files that seem deleted may
   * have been compacted by another process: rejects with `REPLICA_CONFLICT` then.
   */
  async healCut(options: Op): Promise<LtxFileInfo> {
    const { cut, uploader } = this.#parts;
    await uploader.requireAlone(options);
    cut.confirm();
    const file = await this.take(options, (txid) => uploader.uploadTo(txid, options, 'covered'));
    await uploader.prove(file.maxTxid, options);
    return file;
  }
}
