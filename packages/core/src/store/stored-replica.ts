/**
 * One replica of one database, as the store keeps it: its levels compacted, its snapshots taken, its old files deleted,
 * its files validated. Work on one replica is strictly one thing at a time; what is pending is known without asking the
 * backend, so a database nobody writes to costs nothing.
 */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../client/contract.ts';
import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { Mutex } from '../db/mutex.ts';
import { hasCode } from '../error.ts';
import type { LitestreamError } from '../error.ts';
import { silentLogger } from '../logger.ts';
import type { Logger } from '../logger.ts';
import { Compactor } from './compactor.ts';
import type { LocalFiles } from './compactor.ts';
import { contiguityFaults, describeFault } from './contiguity.ts';
import { LevelTops } from './level-tops.ts';
import { boundaryBefore, SNAPSHOT_LEVEL } from './levels.ts';
import type { CompactionLevel } from './levels.ts';
import { expiredBelow, expiredLevel0, expiredSnapshots } from './retention.ts';
import { validateReplica } from './validation.ts';
import type { ValidationReport } from './validation.ts';

/** What the store needs of a replica, and nothing about databases. */
export interface ReplicaUnderStore {
  readonly client: ReplicaClient;
  /** Last TXID that is wholly on the backend. */
  readonly position: { readonly txid: TXID };
  /** Writes the database's present state to the snapshot level. Undefined if the database is not there yet. */
  snapshot(op?: Op): Promise<LtxFileInfo | undefined>;
}

export interface StoredReplicaOptions {
  readonly levels: readonly CompactionLevel[];
  readonly snapshotIntervalMs: number;
  readonly snapshotRetentionMs: number;
  readonly level0RetentionMs: number;
  readonly retentionEnabled: boolean;
  readonly verifyCompaction: boolean;
  readonly local?: LocalFiles | undefined;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
  /** Called for each problem found by `verify-compaction`. */
  readonly onVerifyError?: ((message: string) => void) | undefined;
}

export class StoredReplica {
  readonly #replica: ReplicaUnderStore;
  readonly #options: StoredReplicaOptions;
  readonly #clock: Clock;
  readonly logger: Logger;
  /** Called when there is something to do that was not known before. Set by the store. */
  onPending: (() => void) | undefined;
  readonly #tops: LevelTops;
  readonly #compactor: Compactor;
  readonly #queue = new Mutex();
  /** Levels whose source has, or may have, files they do not hold yet. At start that is not known of any. */
  readonly #pending: Set<number>;
  /** When this process last wrote to a level. */
  readonly #writtenAtMs = new Map<number, number>();
  #snapshotWanted = false;
  #level0Deletable = true;
  #lastSnapshot: TXID | undefined;

  constructor(replica: ReplicaUnderStore, options: StoredReplicaOptions) {
    this.#replica = replica;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.logger = options.logger ?? silentLogger;
    this.#tops = new LevelTops(replica.client);
    this.#compactor = new Compactor(replica.client, { logger: this.logger, local: options.local, tops: this.#tops });
    this.#pending = new Set(options.levels.map(({ level }) => level));
  }

  /** A level 0 file reached the backend. */
  uploaded(): void {
    if (this.#options.levels.length > 0) this.#pending.add(1);
    this.#level0Deletable = true;
    this.onPending?.();
  }

  /** No snapshot is known: one is due at once, not at the next boundary. */
  get lacksSnapshot(): boolean {
    return this.#lastSnapshot === undefined;
  }

  /** Is there, as far as is known, anything to merge into this level, or to snapshot? */
  isPending(level: number): boolean {
    if (level !== SNAPSHOT_LEVEL) return this.#pending.has(level);
    const { txid } = this.#replica.position;
    return txid > 0n && (this.#snapshotWanted || txid > (this.#lastSnapshot ?? 0n));
  }

  get isLevel0Pending(): boolean {
    return this.#level0Deletable;
  }

  /** Merges into `level` what is due, unless that was done since the last boundary already. */
  async compact({ level, intervalMs }: CompactionLevel, op: Op = {}): Promise<readonly LtxFileInfo[]> {
    return await this.#queue.run(async () => {
      if (!this.#pending.has(level)) return [];
      if (await this.#doneSince(boundaryBefore(this.#clock.now(), intervalMs), level, op)) return [];
      return await this.#compactNow(level, op);
    });
  }

  /**
   * Was the level written to after this boundary? Known by the clock for what this process wrote, by the newest file's
   * time for what one before it wrote; that time is the last commit's, so it may say no once too often, never storm.
   */
  async #doneSince(boundaryMs: number, level: number, op: Op): Promise<boolean> {
    if ((this.#writtenAtMs.get(level) ?? 0) > boundaryMs) return true;
    const top = await this.#tops.get(level, op);
    return top !== undefined && top.timestamp.getTime() > boundaryMs;
  }

  async #compactNow(level: number, op: Op): Promise<readonly LtxFileInfo[]> {
    this.#pending.delete(level);
    try {
      const written = await this.#compactor.compact(level, op);
      this.#writtenAtMs.set(level, this.#clock.now());
      for (const file of written) {
        this.logger.info('compaction complete', {
          level,
          'txid.min': formatTxid(file.minTxid),
          'txid.max': formatTxid(file.maxTxid),
          size: file.size,
        });
      }
      if (written.length > 0) {
        if (this.#options.levels.some((other) => other.level === level + 1)) this.#pending.add(level + 1);
        if (level === 1) this.#level0Deletable = true;
        if (this.#options.verifyCompaction) await this.#verify(level, op);
      }
      return written;
    } catch (error) {
      this.#pending.add(level);
      this.#tops.clear(); // what is on the backend is no longer certain
      if (hasCode(error, 'REPLICA_GAP')) {
        return await this.#heal(level, error, op);
      }
      throw error;
    }
  }

  /** Behind a gap nothing can be restored until a snapshot stands there; with one, the level goes on behind it. */
  async #heal(level: number, gap: LitestreamError, op: Op): Promise<readonly LtxFileInfo[]> {
    this.#snapshotWanted = true;
    this.logger.warn('replica has a gap, taking a snapshot', { level, error: gap.message });
    await this.#snapshotNow(op);
    return await this.#compactor.compact(level, op);
  }

  async #verify(level: number, op: Op): Promise<void> {
    const files = await Array.fromAsync(this.#replica.client.ltxFiles(level, op));
    for (const fault of contiguityFaults(files)) {
      const message = describeFault(fault);
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
      if (txid === 0n || (newest !== undefined && newest.maxTxid >= txid)) return undefined;
      const boundary = boundaryBefore(this.#clock.now(), this.#options.snapshotIntervalMs);
      const due =
        newest === undefined || this.#snapshotWanted || !(await this.#doneSince(boundary, SNAPSHOT_LEVEL, op));
      if (!due) return undefined;
      return await this.#snapshotNow(op);
    });
  }

  /** Takes a snapshot now, even if nothing changed since the last one. */
  async snapshot(op: Op = {}): Promise<LtxFileInfo | undefined> {
    return await this.#queue.run(() => this.#snapshotNow(op));
  }

  async #snapshotNow(op: Op): Promise<LtxFileInfo | undefined> {
    const file = await this.#replica.snapshot(op);
    if (file === undefined) return undefined;
    this.#tops.set(SNAPSHOT_LEVEL, file);
    this.#writtenAtMs.set(SNAPSHOT_LEVEL, this.#clock.now());
    this.#lastSnapshot = file.maxTxid;
    this.#snapshotWanted = false;
    this.logger.info('snapshot complete', { txid: formatTxid(file.maxTxid), size: file.size });
    return file;
  }

  /** Deletes snapshots past their retention, then what only they needed on the levels below. */
  async enforceSnapshotRetention(op: Op = {}): Promise<void> {
    await this.#queue.run(async () => {
      const before = new Date(this.#clock.now() - this.#options.snapshotRetentionMs);
      const snapshots = await Array.fromAsync(this.#replica.client.ltxFiles(SNAPSHOT_LEVEL, op));
      const { expired, floor } = expiredSnapshots(snapshots, before);
      await this.#delete(SNAPSHOT_LEVEL, expired, op);
      if (floor === undefined) return;
      for (const { level } of this.#options.levels) {
        const files = await Array.fromAsync(this.#replica.client.ltxFiles(level, op));
        await this.#delete(level, expiredBelow(files, floor), op);
      }
    });
  }

  /** Deletes level 0 files that level 1 holds and that are older than the retention. */
  async enforceLevel0Retention(op: Op = {}): Promise<void> {
    if (this.#options.level0RetentionMs <= 0 || !this.#level0Deletable) return;
    await this.#queue.run(async () => {
      const compactedTo = (await this.#tops.get(1, op))?.maxTxid;
      if (compactedTo === undefined) return;
      const before = new Date(this.#clock.now() - this.#options.level0RetentionMs);
      const files = await Array.fromAsync(this.#replica.client.ltxFiles(0, op));
      const expired = expiredLevel0(files, compactedTo, before);
      await this.#delete(0, expired, op);
      // Nothing more can expire until another file arrives, once all that is left is the newest one.
      this.#level0Deletable = files.length - expired.length > 1;
    });
  }

  async #delete(level: number, files: readonly LtxFileInfo[], op: Op): Promise<void> {
    if (files.length === 0) return;
    if (!this.#options.retentionEnabled) {
      this.logger.debug('skipping remote deletion (retention disabled)', { level, count: files.length });
      return;
    }
    await this.#replica.client.deleteLtxFiles(files, op);
    this.logger.debug('ltx files deleted', { level, count: files.length });
  }

  /** Contiguity of every level, and the checksums of a sample of the files; each fault is logged with its file. */
  async validate(op: Op = {}): Promise<ValidationReport> {
    return await this.#queue.run(async () => {
      const report = await validateReplica(this.#replica.client, op);
      for (const { kind, level, file, message } of report.faults) {
        this.logger.warn('validation error detected', { level, type: kind, file, message });
      }
      return report;
    });
  }

  /** Resolves when whatever is under way has ended. */
  async idle(): Promise<void> {
    await this.#queue.run(async () => undefined);
  }
}
