/** Deletes the files that one replica no longer needs, in batches. `retention.ts` decides which ones. */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/logger.ts';
import type { AgeLimit } from './file-ages.ts';
import type { LocalFiles } from '../compaction/compactor.ts';
import type { NewestOfLevel } from '../compaction/newest-of-level.ts';
import type { CompactionLevel } from '../compaction/compaction-levels.ts';
import { FileAges } from './file-ages.ts';
import { expiredBelow, expiredLevel0, expiredSnapshots, isRecent } from './retention.ts';
import { isSnapshotFile, SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';

export interface RetentionOptions {
  readonly client: ReplicaClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tops: NewestOfLevel;
  readonly local?: LocalFiles | undefined;
  readonly levels: readonly CompactionLevel[];
  readonly snapshotRetentionMs: number;
  readonly level0RetentionMs: number;
  /** False: nothing is deleted on the backend, whose own lifecycle rules do that; local files are still deleted. */
  readonly retentionEnabled: boolean;
}

/** Counts of level-0 files on the backend, as of the last look. */
export interface Level0Counts {
  /** Files that the look deleted. */
  readonly eligible: number;
  /** Old enough, but level 1 does not hold them yet. */
  readonly notCompacted: number;
  readonly tooRecent: number;
}

export class Retention {
  readonly #options: RetentionOptions;
  readonly #snapshotAges: FileAges;
  readonly #level0Ages: FileAges;
  #level0Pending = true;
  #level0Counts: Level0Counts = { eligible: 0, notCompacted: 0, tooRecent: 0 };

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#snapshotAges = new FileAges(options.clock, options.snapshotRetentionMs);
    this.#level0Ages = new FileAges(options.clock, options.level0RetentionMs);
  }

  /** Call this when a file was uploaded or compacted: then level-0 files may expire. */
  uploaded(): void {
    this.#level0Pending = true;
  }

  get isLevel0Pending(): boolean {
    return this.#level0Pending;
  }

  get level0Counts(): Level0Counts {
    return this.#level0Counts;
  }

  /** Deletes snapshots by age, then files of the levels below that no kept snapshot needs. */
  async enforceSnapshots(op: Op): Promise<void> {
    const { client, logger } = this.#options;
    const snapshots = await Array.fromAsync(client.ltxFiles(SNAPSHOT_LEVEL, op));
    const newest = snapshots.findLast(isSnapshotFile);
    const limit = this.#snapshotAges.look(newest?.maxTxid ?? 0n, newest?.timestamp);
    logger.debug('enforcing snapshot retention', { timestamp: limit.before });
    const { expired, floor } = expiredSnapshots(snapshots, limit);
    await this.#delete(SNAPSHOT_LEVEL, expired, op);
    if (floor === undefined) return;
    for (const level of this.#levelsBelow()) {
      logger.debug('enforcing retention', { subsystem: 'compactor', level, txid: formatTxid(floor) });
      const files = await Array.fromAsync(client.ltxFiles(level, op));
      await this.#delete(level, expiredBelow(files, floor), op);
    }
  }

  /** Level 0 has its own retention; files that it skips (there is no level 1, or a gap) are included here. */
  #levelsBelow(): readonly number[] {
    const { levels, level0RetentionMs } = this.#options;
    return [...(level0RetentionMs > 0 ? [0] : []), ...levels.map(({ level }) => level)];
  }

  /** @param position Last TXID that is wholly on the backend. */
  async enforceLevel0(position: TXID, op: Op): Promise<void> {
    const { client, level0RetentionMs, levels, logger, tops, retentionEnabled } = this.#options;
    logger.debug('starting l0 retention enforcement', { retention: level0RetentionMs });
    const compactedTo = levels.length === 0 ? position : ((await tops.get(1, op))?.maxTxid ?? 0n);
    const isRemote = level0RetentionMs > 0 && retentionEnabled && levels.length > 0 && compactedTo > 0n;
    const files = isRemote ? await Array.fromAsync(client.ltxFiles(0, op)) : [];
    const limit = this.#level0Ages.look(position, files.at(-1)?.timestamp);
    const remoteLeft = isRemote ? await this.#enforceRemoteLevel0(files, limit, op) : 0;
    const localLeft = this.#releaseLocal({ txid: compactedTo < position ? compactedTo : position, ...limit });
    // Once only the newest file remains, nothing can expire until another file is uploaded.
    this.#level0Pending = remoteLeft > 1 || localLeft > 1;
  }

  /** Returns how many files are left. */
  async #enforceRemoteLevel0(files: readonly LtxFileInfo[], limit: AgeLimit, op: Op): Promise<number> {
    const { client, logger, tops } = this.#options;
    const [oldest, second] = files;
    if (oldest === undefined || second === undefined || isRecent(oldest, limit)) {
      const tooRecent = files.filter((file) => isRecent(file, limit)).length;
      this.#level0Counts = { eligible: 0, notCompacted: 0, tooRecent };
      return files.length;
    }
    // Listed, not remembered: the files that replace the deleted ones must exist.
    const level1 = await Array.fromAsync(client.ltxFiles(1, op));
    const snapshot = (await tops.get(SNAPSHOT_LEVEL, op))?.maxTxid ?? 0n;
    const { expired, notCompacted, tooRecent } = expiredLevel0(files, { level1, snapshot }, limit);
    this.#level0Counts = { eligible: expired.length, notCompacted, tooRecent };
    const maxL1Txid = formatTxid(level1.at(-1)?.maxTxid ?? 0n);
    logger.debug('l0 retention scan complete', {
      total_l0_files: files.length,
      eligible_for_deletion: expired.length,
      not_compacted_yet: notCompacted,
      too_recent: tooRecent,
      max_l1_txid: maxL1Txid,
    });
    await this.#delete(0, expired, op);
    if (expired.length > 0) {
      logger.info('l0 retention enforced', { deleted_count: expired.length, max_l1_txid: maxL1Txid });
    }
    return files.length - expired.length;
  }

  /** Returns how many files are left. */
  #releaseLocal(upTo: AgeLimit & { readonly txid: TXID }): number {
    const { local, logger, retentionEnabled } = this.#options;
    const released = local?.release?.({
      ...upTo,
      deleting: ({ minTxid, maxTxid, path }) => {
        const names = { minTXID: formatTxid(minTxid), maxTXID: formatTxid(maxTxid) };
        logger.debug('deleting expired local l0 file', { ...names, path });
      },
    });
    if (released === undefined) return 0;
    const { deleted, left } = released;
    if (deleted === 0) return left;
    if (!retentionEnabled) logger.debug('skipping remote deletion (retention disabled)', { level: 0, count: deleted });
    return left;
  }

  async #delete(level: number, files: readonly LtxFileInfo[], op: Op): Promise<void> {
    const { client, logger, retentionEnabled } = this.#options;
    if (files.length === 0) return;
    if (!retentionEnabled) {
      logger.debug('skipping remote deletion (retention disabled)', { level, count: files.length });
      return;
    }
    const { type } = client;
    for (const { minTxid, maxTxid } of files) {
      const names = { [`${type}.minTXID`]: formatTxid(minTxid), [`${type}.maxTXID`]: formatTxid(maxTxid) };
      logger.debug('deleting ltx file', { replica: type, [`${type}.level`]: level, ...names });
    }
    await client.deleteLtxFiles(files, op);
  }
}
