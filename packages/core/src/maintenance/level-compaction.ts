import { formatTxid } from '@litestream/ltx';
import type { LtxFileInfo, Op } from '../storage/contract/contract.ts';
import type { TXID } from '@litestream/ltx';
import type { Clock } from '../util/clock.ts';
import { hasCode } from '../util/error.ts';
import type { LitestreamError } from '../util/error.ts';
import type { Logger } from '../util/logger.ts';
import { traced } from '../util/tracing.ts';
import { Compactor } from '../compaction/compactor.ts';
import type { NewestOfLevel } from '../compaction/newest-of-level.ts';
import { boundaryBefore } from '../compaction/compaction-levels.ts';
import type { CompactionLevel } from '../compaction/compaction-levels.ts';
import { verifyLevel } from '../verify/validation.ts';
import { GapReports } from './gap-reports.ts';
import type { LevelWork } from './level-work.ts';
import { LostFileSearch } from './lost-file-search.ts';
import type { ReplicaSnapshots } from './replica-snapshots.ts';
import type { ReplicaUnderStore, StoredReplicaOptions } from './stored-replica-options.ts';

export interface LevelCompactionParts {
  readonly replica: ReplicaUnderStore;
  readonly options: StoredReplicaOptions;
  readonly tops: NewestOfLevel;
  readonly work: LevelWork;
  readonly snapshots: ReplicaSnapshots;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where log lines say that the database is. */
  readonly place: { readonly path?: string };
  /** Called when level 1 was written: level-0 files that it holds may be deleted. */
  readonly onLevel0Merged: () => void;
  /** Called when a level has something to do that was not known before. */
  readonly onPending: () => void;
}

/** Compacts the levels of one replica. Where transactions are missing, a snapshot takes their place. */
export class LevelCompaction {
  readonly #parts: LevelCompactionParts;
  readonly #compactor: Compactor;
  readonly #lost: LostFileSearch;
  readonly #gaps: GapReports;
  readonly counts: { compactions: number; verifyErrors: number } = { compactions: 0, verifyErrors: 0 };

  constructor(parts: LevelCompactionParts) {
    const { replica, tops, clock, logger, snapshots } = parts;
    this.#parts = parts;
    this.#lost = new LostFileSearch(replica.client, tops, clock);
    this.#gaps = new GapReports(logger, (txid) => replica.isGapReported?.(txid) === true);
    this.#compactor = new Compactor(replica.client, {
      logger,
      local: { path: (file) => this.#localPath(file) },
      tops,
      clock,
      onPageSizeChange: (file) => snapshots.want(file.minTxid),
      onGap: (gap) => this.#gaps.report(gap),
    });
  }

  /** Merges into `level` what is due, unless that was done since the last boundary already. */
  async compact({ level, intervalMs }: CompactionLevel, op: Op): Promise<readonly LtxFileInfo[]> {
    const { work, clock, logger, place, replica } = this.#parts;
    if (!work.isPending(level)) return [];
    if (await work.doneSince(boundaryBefore(clock.now(), intervalMs), level, op)) {
      logger.debug('no compaction', { level, ...place });
      return [];
    }
    work.take(level);
    const facts = (): Record<string, unknown> => ({ replica: replica.client.type, level });
    try {
      return await traced('compaction', facts, () => this.#compactOrHeal(level, op));
    } catch (error) {
      work.failed(level);
      throw error;
    }
  }

  /** Beyond what is known to be the database's own, a file of the same name may be another process's. */
  #localPath(file: LtxFileInfo): string | undefined {
    const { replica, options } = this.#parts;
    const { isKnown, position } = replica;
    return isKnown === false || file.maxTxid > position.txid ? undefined : options.local?.path(file);
  }

  /** Behind a gap nothing can be restored until a snapshot stands there; with one, the level goes on behind it. */
  async #compactOrHeal(level: number, op: Op): Promise<readonly LtxFileInfo[]> {
    const { replica, snapshots, work } = this.#parts;
    let written: readonly LtxFileInfo[];
    const end = replica.position.txid;
    try {
      const isCut = level === 1 && (await this.#lost.isBaseGone(op));
      if (isCut) await this.#healCut(op);
      // A warning was given for what it finds.
      written = isCut ? await this.#compactHealed(level, op) : await this.#compactor.compact(level, op);
    } catch (error) {
      if (!hasCode(error, 'REPLICA_GAP') && !hasCode(error, 'LTX_CORRUPT')) throw error;
      // The transactions that level 0 lacks were acknowledged; the replica reports them.
      const isCut = level === 1 && hasCode(error, 'REPLICA_GAP') && replica.recoverCut !== undefined;
      if (!isCut) this.#logHealing(level, error);
      await (isCut ? this.#recover(op) : snapshots.take(op));
      written = await this.#compactHealed(level, op);
    }
    if (level === 1) await this.#checkEnd(end, op);
    work.written(level);
    this.#logWritten(level, written);
    work.lookAgain(level, replica.position.txid);
    if (written.length > 0) await this.#follow(level, written, op);
    return written;
  }

  #logWritten(level: number, written: readonly LtxFileInfo[]): void {
    const { logger, options, place } = this.#parts;
    if (written.length === 0) logger.debug('no compaction', { level, ...place });
    for (const file of written) {
      this.counts.compactions += 1;
      options.onCompaction?.(file);
      const txid = { 'txid.min': formatTxid(file.minTxid), 'txid.max': formatTxid(file.maxTxid) };
      logger.info('compaction complete', { level, ...txid, size: file.size });
    }
  }

  /** What becomes possible, or due, once files were written to a level. */
  async #follow(level: number, written: readonly LtxFileInfo[], op: Op): Promise<void> {
    const { work, options, onLevel0Merged, onPending } = this.#parts;
    work.request(level + 1);
    if (level === 1) onLevel0Merged();
    if (options.verifyCompaction) await this.#verify(level, written, op);
    onPending();
  }

  /** Does level 0 end where this process left it? `end`: as it was before the compaction that has just listed it. */
  async #checkEnd(end: TXID, op: Op): Promise<void> {
    const { replica, tops } = this.#parts;
    const reached = tops.known(1)?.maxTxid ?? 0n;
    // Merged was what this process has not sent, or has no answer for yet. Before the two have met that is no wonder.
    const { isKnown, position } = replica;
    if (isKnown !== false && reached > position.txid) await replica.requireAlone?.(op);
    if (await this.#lost.isEndGone(end, op)) await this.#healCut(op);
  }

  async #healCut(op: Op): Promise<void> {
    await this.#recover(op);
    this.#parts.work.restart();
  }

  /** A snapshot, until which nothing is acknowledged. */
  async #recover(op: Op): Promise<void> {
    const { replica, snapshots, tops } = this.#parts;
    if (replica.recoverCut === undefined) return void (await snapshots.take(op));
    const file = await replica.recoverCut(op);
    this.#gaps.cut(file?.maxTxid ?? replica.position.txid);
    if (file === undefined) tops.clear();
    else snapshots.keep(file);
  }

  async #compactHealed(level: number, op: Op): Promise<readonly LtxFileInfo[]> {
    return await this.#gaps.whileHealing(() => this.#compactor.compact(level, op));
  }

  #logHealing(level: number, error: LitestreamError): void {
    const what = hasCode(error, 'REPLICA_GAP') ? 'has a gap' : 'has a damaged file';
    this.#parts.logger.warn(`replica ${what}, taking a snapshot`, { level, error: error.message });
  }

  async #verify(level: number, written: readonly LtxFileInfo[], op: Op): Promise<void> {
    const { replica, options, clock, logger } = this.#parts;
    for (const { message } of await verifyLevel(replica.client, level, written, { clock, ...op })) {
      this.counts.verifyErrors += 1;
      logger.warn('post-compaction verification failed', { level, error: message });
      options.onVerifyError?.(message);
    }
  }
}
