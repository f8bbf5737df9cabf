/**
 * One replica of one database, as the store keeps it: its levels compacted, its snapshots taken, its old files deleted,
 * its files validated. Work on one replica is strictly one thing at a time; what is pending is known without asking the
 * backend, so a database nobody writes to costs nothing.
 */
import { formatTxid, HEADER_SIZE, isLtxError } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op } from '../storage/contract/contract.ts';
import { readLtxHeader } from '../storage/reading/read-header.ts';
import { systemClock } from '../util/clock.ts';
import type { Clock } from '../util/clock.ts';
import { Mutex } from '../util/mutex.ts';
import type { DrillResult } from '../drill/drill.ts';
import { Drills } from '../drill/drills.ts';
import { hasCode } from '../util/error.ts';
import type { LitestreamError } from '../util/error.ts';
import { silentLogger } from '../util/logger.ts';
import type { Logger } from '../util/logger.ts';
import { traced } from '../util/tracing.ts';
import { Compactor } from '../compaction/compactor.ts';
import type { Gap } from '../compaction/compactor.ts';
import { NewestOfLevel } from '../compaction/newest-of-level.ts';
import { boundaryBefore } from '../compaction/compaction-levels.ts';
import type { CompactionLevel } from '../compaction/compaction-levels.ts';
import { Retention } from '../retention/retention-pass.ts';
import type { ReplicaUnderStore, StoredReplicaCounts, StoredReplicaOptions } from './stored-replica-options.ts';
import { validateReplica, verifyLevel } from '../verify/validation.ts';
import { ValidationOutcomes } from '../verify/validation-outcomes.ts';
import type { ValidationOptions, ValidationReport } from '../verify/validation.ts';
import { isSnapshotFile, SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';

/** If a replica has more gaps than this, some of them are reported again. */
const REPORTED_GAPS_MAX = 1000;

export class StoredReplica {
  readonly #replica: ReplicaUnderStore;
  readonly #options: StoredReplicaOptions;
  readonly #clock: Clock;
  readonly logger: Logger;
  /** Called when there is something to do that was not known before. Set by the store. */
  onPending: (() => void) | undefined;
  readonly #tops: NewestOfLevel;
  readonly #compactor: Compactor;
  readonly #retention: Retention;
  readonly #queue = new Mutex();
  /** Levels whose source has, or may have, files they do not hold yet. At start that is not known of any. */
  readonly #pending: Set<number>;
  /** When this process last wrote to a level, by the clock that nobody sets. */
  readonly #writtenAtMs = new Map<number, number>();
  /** What of the level below a listing did not show, by level: it is looked for once more. */
  readonly #missed = new Map<number, TXID>();
  /** First transactions of the gaps that were reported: a gap appears at every level, and again when work is repeated. */
  readonly #reportedGaps = new Set<TXID>();
  /** What files lack up to here was deleted, of which a warning has told. */
  #cutTo: TXID = 0n;
  /** A warning has just reported the gap that the running compaction finds. */
  #isHealing = false;

  readonly #validation: ValidationOutcomes;
  readonly #drills: Drills | undefined;
  readonly #counts = { compactions: 0, snapshots: 0, verifyErrors: 0, validationErrors: 0 };
  /** Newest files of the levels when the store began to take care of it; undefined if they are not known. */
  #before: ReadonlyMap<number, LtxFileInfo> | undefined;
  /** A snapshot is due, whenever the last one was: restores behind a break need one that reaches this TXID. */
  #snapshotFrom: TXID | undefined;
  #lastSnapshot: TXID | undefined;

  constructor(replica: ReplicaUnderStore, options: StoredReplicaOptions) {
    this.#replica = replica;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.logger = options.logger ?? silentLogger;
    const { client } = replica;
    const { logger } = this;
    this.#tops = new NewestOfLevel(client);
    this.#compactor = new Compactor(client, {
      logger,
      local: { path: (file) => this.#localPath(file) },
      tops: this.#tops,
      clock: this.#clock,
      onPageSizeChange: (file) => this.#requestSnapshot(file.minTxid),
      onGap: (gap) => this.#reportGap(gap),
    });
    this.#retention = new Retention({ ...options, client, logger, tops: this.#tops, clock: this.#clock });
    this.#validation = new ValidationOutcomes(options.levels, this.#clock);
    this.#drills = options.drills && new Drills(client, { ...options.drills, clock: this.#clock, logger });
    this.#pending = new Set(options.levels.map(({ level }) => level));
  }

  /** Beyond what is known to be the database's own, a file of the same name may be another process's. */
  #localPath(file: LtxFileInfo): string | undefined {
    const { isKnown, position } = this.#replica;
    return isKnown === false || file.maxTxid > position.txid ? undefined : this.#options.local?.path(file);
  }

  /** A level 0 file reached the backend. */
  uploaded(): void {
    if (this.#options.levels.length > 0) this.#pending.add(1);
    this.#retention.uploaded();
    this.onPending?.();
  }

  /** Where log lines say that the database is. */
  get place(): { readonly path?: string } {
    const { path } = this.#options;
    return path === undefined ? {} : { path };
  }

  get counts(): StoredReplicaCounts {
    const { level0Counts: level0 } = this.#retention;
    return { ...this.#counts, level0, validation: this.#validation.byLevel, drill: this.#drills?.status };
  }

  /** A snapshot is due at once, not at the next boundary: none is known, or restores behind a break need one. */
  get lacksSnapshot(): boolean {
    return this.#lastSnapshot === undefined || this.#isSnapshotOwed;
  }

  /** Is there, as far as is known, anything to merge into this level, or to snapshot? */
  isPending(level: number): boolean {
    if (this.#replica.isDown === true) return false;
    if (level !== SNAPSHOT_LEVEL) return this.#pending.has(level);
    const { txid } = this.#replica.position;
    return txid > 0n && (this.#isSnapshotOwed || txid > (this.#lastSnapshot ?? 0n));
  }

  get isLevel0Pending(): boolean {
    return this.#replica.isDown !== true && this.#retention.isLevel0Pending;
  }

  /**
   * Did a boundary of this level pass unused, as far as is known: did the level below have something for it by then? What
   * is not overdue waits for the next one.
   */
  isOverdue({ level, intervalMs }: CompactionLevel): boolean {
    const before = this.#before;
    if (before === undefined) return true;
    const source = before.get(level - 1);
    if (source === undefined || source.maxTxid <= (before.get(level)?.maxTxid ?? 0n)) return false;
    return source.timestamp.getTime() <= boundaryBefore(this.#clock.now(), intervalMs);
  }

  /** The store takes care of it from now on: what was learnt when the database was opened saves listing the levels. */
  begin(): void {
    this.#before = this.#replica.takeTops?.();
    if (this.#before !== undefined) this.#tops.learn(this.#before);
  }

  /** Merges into `level` what is due, unless that was done since the last boundary already. */
  async compact({ level, intervalMs }: CompactionLevel, op: Op = {}): Promise<readonly LtxFileInfo[]> {
    return await this.#queue.run(async () => {
      if (!this.#pending.has(level)) return [];
      if (await this.#doneSince(boundaryBefore(this.#clock.now(), intervalMs), level, op)) {
        this.logger.debug('no compaction', { level, ...this.place });
        return [];
      }
      return await this.#compactNow(level, op);
    }, op.signal);
  }

  /**
   * Was the level written to after this boundary? Known by the clock for what this process wrote, by the newest file's
   * time for what one before it wrote; that time is the last commit's, so it may say no once too often, never storm. A
   * time in the future, which a clock that was set back leaves, tells nothing: the level would stand still until then.
   */
  async #doneSince(boundaryMs: number, level: number, op: Op): Promise<boolean> {
    const nowMs = this.#clock.now();
    const writtenAtMs = this.#writtenAtMs.get(level);
    if (writtenAtMs !== undefined && this.#clock.monotonic() - writtenAtMs < nowMs - boundaryMs) return true;
    const topMs = (await this.#tops.get(level, op))?.timestamp.getTime() ?? Number.NEGATIVE_INFINITY;
    return topMs > boundaryMs && topMs <= nowMs;
  }

  async #compactNow(level: number, op: Op): Promise<readonly LtxFileInfo[]> {
    this.#pending.delete(level);
    const facts = (): Record<string, unknown> => ({ replica: this.#replica.client.type, level });
    try {
      return await traced('compaction', facts, () => this.#compactOrHeal(level, op));
    } catch (error) {
      this.#pending.add(level);
      this.#tops.clear(); // what is on the backend is no longer certain
      throw error;
    }
  }

  /** Behind a gap nothing can be restored until a snapshot stands there; with one, the level goes on behind it. */
  async #compactOrHeal(level: number, op: Op): Promise<readonly LtxFileInfo[]> {
    let written: readonly LtxFileInfo[];
    const end = this.#replica.position.txid;
    try {
      const isCut = level === 1 && (await this.#isCut(op));
      if (isCut) await this.#healCut(op);
      // A warning was given for what it finds.
      written = isCut ? await this.#compactHealed(level, op) : await this.#compactor.compact(level, op);
    } catch (error) {
      if (!hasCode(error, 'REPLICA_GAP') && !hasCode(error, 'LTX_CORRUPT')) throw error;
      // The transactions that level 0 lacks were acknowledged; the replica reports them.
      const isCut = level === 1 && hasCode(error, 'REPLICA_GAP') && this.#replica.recoverCut !== undefined;
      if (!isCut) this.#logHealing(level, error);
      await (isCut ? this.#recover(op) : this.#snapshotNow(op));
      written = await this.#compactHealed(level, op);
    }
    if (level === 1) await this.#checkEnd(end, op);
    this.#writtenAtMs.set(level, this.#clock.monotonic());
    if (written.length === 0) this.logger.debug('no compaction', { level, ...this.place });
    for (const file of written) {
      this.#counts.compactions += 1;
      this.#options.onCompaction?.(file);
      const txid = { 'txid.min': formatTxid(file.minTxid), 'txid.max': formatTxid(file.maxTxid) };
      this.logger.info('compaction complete', { level, ...txid, size: file.size });
    }
    this.#lookAgain(level);
    if (written.length > 0) {
      if (this.#options.levels.some((other) => other.level === level + 1)) this.#pending.add(level + 1);
      if (level === 1) this.#retention.uploaded();
      if (this.#options.verifyCompaction) await this.#verify(level, written, op);
      this.onPending?.();
    }
    return written;
  }

  /**
   * Deleting is nothing that a backend tells of, so whoever writes looks: once in an interval of level 1, at the header of
   * the snapshot that restores start from, and of the newest file of level 1 where they need it. A database that nothing
   * was written to is not looked after.
   */
  async #isCut(op: Op): Promise<boolean> {
    const base = this.#tops.known(SNAPSHOT_LEVEL);
    const top = this.#tops.known(1);
    // What is not known yet is about to be listed.
    if (base !== undefined && (await this.#isGone(base, op))) return true;
    return top !== undefined && top.maxTxid > (base?.maxTxid ?? 0n) && (await this.#isGone(top, op));
  }

  /** Does level 0 end where this process left it? `end`: as it was before the compaction that has just listed it. */
  async #checkEnd(end: TXID, op: Op): Promise<void> {
    const reached = this.#tops.known(1)?.maxTxid ?? 0n;
    // Merged was what this process has not sent, or has no answer for yet. Before the two have met that is no wonder.
    const { isKnown, position } = this.#replica;
    if (isKnown !== false && reached > position.txid) await this.#replica.requireAlone?.(op);
    if (await this.#isEndGone(end, op)) await this.#healCut(op);
  }

  /** The end of level 0, as it was before a compaction, was neither merged by it nor is it there. */
  async #isEndGone(end: TXID, op: Op): Promise<boolean> {
    if ((this.#tops.known(1)?.maxTxid ?? 0n) >= end) return false;
    return await this.#isGone({ level: 0, minTxid: end, maxTxid: end, size: HEADER_SIZE, timestamp: new Date(0) }, op);
  }

  /** It is not there, and no snapshot holds what it held. */
  async #isGone(file: LtxFileInfo, op: Op): Promise<boolean> {
    if (await this.#isThere(file, op)) return false;
    for await (const snapshot of this.#replica.client.ltxFiles(SNAPSHOT_LEVEL, op)) {
      if (isSnapshotFile(snapshot) && snapshot.maxTxid >= file.maxTxid) return false;
    }
    return true;
  }

  async #healCut(op: Op): Promise<void> {
    await this.#recover(op);
    this.#tops.clear();
    this.#options.levels.forEach(({ level }) => this.#pending.add(level));
  }

  /** A snapshot, until which nothing is acknowledged. */
  async #recover(op: Op): Promise<void> {
    if (this.#replica.recoverCut === undefined) return void (await this.#snapshotNow(op));
    const file = await this.#replica.recoverCut(op);
    this.#cutTo = file?.maxTxid ?? this.#replica.position.txid;
    if (file === undefined) this.#tops.clear();
    else this.#keepSnapshot(file);
  }

  async #isThere(file: LtxFileInfo, op: Op): Promise<boolean> {
    try {
      await readLtxHeader(this.#replica.client, file, { clock: this.#clock, ...op });
      return true;
    } catch (error) {
      if (hasCode(error, 'OBJECT_CHANGED') || isLtxError(error)) return true; // it is there, whatever it holds
      if (!hasCode(error, 'NOT_FOUND')) throw error;
      return false;
    }
  }

  /** A listing may be late. What is known to be there, and was not listed, is looked for at the next boundary, once. */
  #lookAgain(level: number): void {
    const source = level === 1 ? this.#replica.position.txid : (this.#tops.known(level - 1)?.maxTxid ?? 0n);
    const reached = this.#tops.known(level)?.maxTxid ?? 0n;
    if (reached >= source || this.#missed.get(level) === source) return;
    this.#missed.set(level, source);
    this.#pending.add(level);
  }

  async #compactHealed(level: number, op: Op): Promise<readonly LtxFileInfo[]> {
    this.#isHealing = true;
    try {
      return await this.#compactor.compact(level, op);
    } finally {
      this.#isHealing = false;
    }
  }

  /** A snapshot that was taken before anybody looked makes up for it, but for the moments in between: these are lost. */
  #reportGap({ kind, level, minTxid, maxTxid }: Gap): void {
    if (maxTxid <= this.#cutTo || this.#reportedGaps.has(minTxid) || this.#replica.isGapReported?.(minTxid) === true)
      return;
    if (this.#reportedGaps.size === REPORTED_GAPS_MAX) this.#reportedGaps.clear();
    this.#reportedGaps.add(minTxid);
    if (this.#isHealing) return;
    this.logger.warn(`replica has a ${kind}, a snapshot makes up for it`, {
      level,
      'txid.min': formatTxid(minTxid),
      'txid.max': formatTxid(maxTxid),
    });
  }

  #logHealing(level: number, error: LitestreamError): void {
    const what = hasCode(error, 'REPLICA_GAP') ? 'has a gap' : 'has a damaged file';
    this.logger.warn(`replica ${what}, taking a snapshot`, { level, error: error.message });
  }

  get #isSnapshotOwed(): boolean {
    return this.#snapshotFrom !== undefined || this.#replica.snapshotOwedFor !== undefined;
  }

  #requestSnapshot(from: TXID): void {
    if ((this.#lastSnapshot ?? 0n) >= from) return;
    this.#snapshotFrom = from;
  }

  async #verify(level: number, written: readonly LtxFileInfo[], op: Op): Promise<void> {
    for (const { message } of await verifyLevel(this.#replica.client, level, written, { clock: this.#clock, ...op })) {
      this.#counts.verifyErrors += 1;
      this.logger.warn('post-compaction verification failed', { level, error: message });
      this.#options.onVerifyError?.(message);
    }
  }

  /** Takes a snapshot if one is due: there is none, one was asked for, or the interval has passed and there are changes. */
  async snapshotIfDue(op: Op = {}): Promise<LtxFileInfo | undefined> {
    return await this.#queue.run(async () => {
      const newest = await this.#tops.get(SNAPSHOT_LEVEL, op);
      this.#lastSnapshot = newest?.maxTxid;
      const { txid } = this.#replica.position;
      if (this.#snapshotFrom !== undefined && newest !== undefined && newest.maxTxid >= this.#snapshotFrom) {
        this.#snapshotFrom = undefined;
      }
      if (txid === 0n) return undefined;
      if (newest !== undefined && newest.maxTxid >= txid && !this.#isSnapshotOwed) return undefined;
      const boundary = boundaryBefore(this.#clock.now(), this.#options.snapshotIntervalMs);
      const due =
        newest === undefined || this.#isSnapshotOwed || !(await this.#doneSince(boundary, SNAPSHOT_LEVEL, op));
      if (due) return await this.#snapshotNow(op);
      this.logger.debug('no compaction', { level: SNAPSHOT_LEVEL, ...this.place });
      return undefined;
    }, op.signal);
  }

  /** Takes a snapshot now, even if nothing changed since the last one. */
  async snapshot(op: Op = {}): Promise<LtxFileInfo | undefined> {
    return await this.#queue.run(() => this.#snapshotNow(op), op.signal);
  }

  async #snapshotNow(op: Op): Promise<LtxFileInfo | undefined> {
    const file = await this.#fileOfSnapshot(op);
    if (file !== undefined) this.#keepSnapshot(file);
    return file;
  }

  #keepSnapshot(file: LtxFileInfo): void {
    this.#tops.set(SNAPSHOT_LEVEL, file);
    this.#writtenAtMs.set(SNAPSHOT_LEVEL, this.#clock.monotonic());
    this.#lastSnapshot = file.maxTxid;
    this.#snapshotFrom = undefined;
    this.#counts.snapshots += 1;
    this.logger.info('snapshot complete', { txid: formatTxid(file.maxTxid), size: file.size });
  }

  /** Undefined if there is no database (any more): then there is nothing to take one of, and nothing went wrong. */
  async #fileOfSnapshot(op: Op): Promise<LtxFileInfo | undefined> {
    try {
      return await this.#replica.snapshot(op);
    } catch (error) {
      const isGone =
        hasCode(error, 'DATABASE_MISSING') ||
        hasCode(error, 'DATABASE_NOT_READY') ||
        (hasCode(error, 'ABORTED') && op.signal?.aborted !== true);
      if (!isGone) throw error;
      this.logger.debug('no snapshot, the database is gone', { error });
      return undefined;
    }
  }

  /** Deletes snapshots past their retention, then what only they needed on the levels below. */
  async enforceSnapshotRetention(op: Op = {}): Promise<void> {
    await this.#queue.run(() => this.#retention.enforceSnapshots(op), op.signal);
  }

  /** Deletes level 0 files that level 1 holds and that are older than the retention, and their local copies. */
  async enforceLevel0Retention(op: Op = {}): Promise<void> {
    if (!this.#retention.isLevel0Pending) return;
    await this.#queue.run(() => this.#retention.enforceLevel0(this.#replica.position.txid, op), op.signal);
  }

  /**
   * Checks that every level is contiguous, and the checksums of a sample of the files. Logs each fault with its file. If a
   * fault prevents restores, and no snapshot repairs it, takes one.
   */
  async validate(options: ValidationOptions = {}): Promise<ValidationReport> {
    const op: Op = { signal: options.signal };
    return await this.#queue.run(async () => {
      const confirmed = this.#replica.position.txid;
      const report = await validateReplica(this.#replica.client, { clock: this.#clock, confirmed, ...options }).catch(
        (error: unknown) => {
          if (op.signal?.aborted !== true) this.#validation.add(undefined);
          throw error;
        },
      );
      this.#validation.add(report);
      for (const { kind, level, file, message } of report.faults) {
        this.#counts.validationErrors += 1;
        this.logger.warn('validation error detected', { level, type: kind, message, file });
      }
      if (report.snapshotNeeded && this.#replica.position.txid > 0n) {
        this.#tops.clear();
        this.#options.levels.forEach(({ level }) => this.#pending.add(level));
        await this.#snapshotNow(op);
      }
      return report;
    }, op.signal);
  }

  get isDrillPending(): boolean {
    return this.#drills !== undefined && this.#replica.isDown !== true && this.#replica.position.txid > 0n;
  }

  /** Restores the newest state into a temporary file and proves it, while other work continues. Rejects as `restore` does. */
  async drill(op: Op = {}): Promise<DrillResult | undefined> {
    return await this.#drills?.run(op);
  }

  /** Resolves when all work in progress has ended, except a restore drill. */
  async idle(): Promise<void> {
    await this.#queue.run(async () => undefined);
  }
}
