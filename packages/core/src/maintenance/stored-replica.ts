/**
 * One replica of one database, as the store keeps it: its levels compacted, its snapshots taken, its old files deleted,
 * its files validated. Work on one replica is strictly one thing at a time; what is pending is known without asking the
 * backend, so a database that nothing is written to costs nothing.
 */
import type { LtxFileInfo, Op } from '../storage/contract/contract.ts';
import { systemClock } from '../util/clock.ts';
import type { Clock } from '../util/clock.ts';
import { Mutex } from '../util/mutex.ts';
import type { DrillResult } from '../drill/drill.ts';
import { Drills } from '../drill/drills.ts';
import { silentLogger } from '../util/logger.ts';
import type { Logger } from '../util/logger.ts';
import { NewestOfLevel } from '../compaction/newest-of-level.ts';
import type { CompactionLevel } from '../compaction/compaction-levels.ts';
import { Retention } from '../retention/retention-pass.ts';
import { LevelCompaction } from './level-compaction.ts';
import { LevelWork } from './level-work.ts';
import { ReplicaSnapshots } from './replica-snapshots.ts';
import type { ReplicaUnderStore, StoredReplicaCounts, StoredReplicaOptions } from './stored-replica-options.ts';
import { validateReplica } from '../verify/validation.ts';
import { ValidationOutcomes } from '../verify/validation-outcomes.ts';
import type { ValidationOptions, ValidationReport } from '../verify/validation.ts';
import { SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';

export class StoredReplica {
  readonly #replica: ReplicaUnderStore;
  readonly #clock: Clock;
  readonly logger: Logger;
  /** Where log lines say that the database is. */
  readonly place: { readonly path?: string };
  /** Called when there is something to do that was not known before. Set by the store. */
  onPending: (() => void) | undefined;
  readonly #queue = new Mutex();
  readonly #work: LevelWork;
  readonly #snapshots: ReplicaSnapshots;
  readonly #compaction: LevelCompaction;
  readonly #retention: Retention;
  readonly #validation: ValidationOutcomes;
  #validationErrorCount = 0;
  readonly #drills: Drills | undefined;

  constructor(replica: ReplicaUnderStore, options: StoredReplicaOptions) {
    const { clock = systemClock, logger = silentLogger, path } = options;
    const { client } = replica;
    this.#replica = replica;
    this.#clock = clock;
    this.logger = logger;
    this.place = path === undefined ? {} : { path };
    const tops = new NewestOfLevel(client);
    this.#work = new LevelWork(options.levels, tops, clock);
    const parts = { replica, tops, work: this.#work, clock, logger, place: this.place };
    this.#snapshots = new ReplicaSnapshots({ ...parts, intervalMs: options.snapshotIntervalMs });
    this.#compaction = new LevelCompaction({
      ...parts,
      options,
      snapshots: this.#snapshots,
      onLevel0Merged: () => this.#retention.uploaded(),
      onPending: () => this.onPending?.(),
    });
    this.#retention = new Retention({ ...options, client, logger, tops, clock });
    this.#validation = new ValidationOutcomes(options.levels, clock);
    this.#drills = options.drills && new Drills(client, { ...options.drills, clock, logger });
  }

  /** A level 0 file reached the backend. */
  uploaded(): void {
    this.#work.request(1);
    this.#retention.uploaded();
    this.onPending?.();
  }

  get counts(): StoredReplicaCounts {
    return {
      ...this.#compaction.counts,
      snapshots: this.#snapshots.count,
      validationErrors: this.#validationErrorCount,
      level0: this.#retention.level0Counts,
      validation: this.#validation.byLevel,
      drill: this.#drills?.status,
    };
  }

  /** A snapshot is due at once, not at the next boundary: none is known, or restores behind a break need one. */
  get lacksSnapshot(): boolean {
    return this.#snapshots.isLacking;
  }

  /** Is there, as far as is known, anything to merge into this level, or to snapshot? */
  isPending(level: number): boolean {
    if (this.#replica.isDown === true) return false;
    return level === SNAPSHOT_LEVEL ? this.#snapshots.isPending : this.#work.isPending(level);
  }

  get isLevel0Pending(): boolean {
    return this.#replica.isDown !== true && this.#retention.isLevel0Pending;
  }

  /**
   * Did a boundary of this level pass unused, as far as is known: did the level below have something for it by then? What
   * is not overdue waits for the next one.
   */
  isOverdue(level: CompactionLevel): boolean {
    return this.#work.isOverdue(level);
  }

  /** The store takes care of it from now on: what was learnt when the database was opened saves listing the levels. */
  begin(): void {
    this.#work.begin(this.#replica.takeTops?.());
  }

  /** Merges into `level` what is due, unless that was done since the last boundary already. */
  async compact(level: CompactionLevel, op: Op = {}): Promise<readonly LtxFileInfo[]> {
    return await this.#queue.run(() => this.#compaction.compact(level, op), op.signal);
  }

  /** Takes a snapshot if one is due: there is none, one was asked for, or the interval has passed and there are changes. */
  async snapshotIfDue(op: Op = {}): Promise<LtxFileInfo | undefined> {
    return await this.#queue.run(() => this.#snapshots.takeIfDue(op), op.signal);
  }

  /** Takes a snapshot now, even if nothing changed since the last one. */
  async snapshot(op: Op = {}): Promise<LtxFileInfo | undefined> {
    return await this.#queue.run(() => this.#snapshots.take(op), op.signal);
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
        this.#validationErrorCount += 1;
        this.logger.warn('validation error detected', { level, type: kind, message, file });
      }
      if (report.snapshotNeeded && this.#replica.position.txid > 0n) {
        this.#work.restart();
        await this.#snapshots.take(op);
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
