/**
 * Keeps the replicas of many databases small and fast to restore: compacts their levels, takes their snapshots, deletes
 * what retention no longer needs, and validates. It never touches a file and never asks a backend about a database that
 * nothing was written to: each schedule sleeps until a replica says that there is something to do.
 */
import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { silentLogger } from '../logger.ts';
import type { Logger } from '../logger.ts';
import { forEachBounded } from './bounded.ts';
import { checkLevels, DEFAULT_LEVELS, SNAPSHOT_LEVEL } from './levels.ts';
import type { CompactionLevel } from './levels.ts';
import { Schedule } from './schedule.ts';
import type { StoredReplica } from './stored-replica.ts';
import type { ValidationReport } from './validation.ts';

/** Durations in milliseconds; defaults are upstream's. */
export interface StoreOptions {
  /** Default 1 at 30 s, 2 at 5 min, 3 at 1 h. */
  readonly levels?: readonly CompactionLevel[] | undefined;
  /** Default 24 h. */
  readonly snapshotIntervalMs?: number | undefined;
  /** How often to look for level 0 files to delete. Default 15 s. */
  readonly level0CheckIntervalMs?: number | undefined;
  /** Default 0: no periodic validation. */
  readonly validationIntervalMs?: number | undefined;
  readonly retentionEnabled?: boolean | undefined;
  /** Databases worked on at the same time. Default 4. */
  readonly concurrency?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
  readonly onError?: ((error: unknown) => void) | undefined;
}

const DAY_MS = 24 * 60 * 60 * 1000;

export class Store {
  readonly #replicas = new Set<StoredReplica>();
  readonly #schedules = new Map<number, Schedule>();
  readonly #level0: Schedule;
  readonly #validation: Schedule | undefined;
  readonly #logger: Logger;
  readonly #concurrency: number;
  readonly #onError: (error: unknown) => void;
  readonly #stopped = new AbortController();

  constructor(options: StoreOptions = {}) {
    const levels = options.levels ?? DEFAULT_LEVELS;
    checkLevels(levels);
    const clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
    this.#concurrency = options.concurrency ?? 4;
    this.#onError = options.onError ?? (() => undefined);
    for (const level of levels) {
      this.#schedules.set(level.level, this.#levelSchedule(clock, level));
    }
    this.#schedules.set(SNAPSHOT_LEVEL, this.#snapshotSchedule(clock, options.snapshotIntervalMs ?? DAY_MS));
    this.#level0 = new Schedule({
      clock,
      intervalMs: options.level0CheckIntervalMs ?? 15_000,
      run: async () => {
        await this.#each('l0 retention enforcement failed', {}, (replica, op) => replica.enforceLevel0Retention(op));
        return this.#some((replica) => replica.isLevel0Pending);
      },
    });
    if ((options.validationIntervalMs ?? 0) > 0) {
      this.#validation = this.#validationSchedule(clock, options.validationIntervalMs ?? 0);
    }
    if (options.retentionEnabled === false) {
      this.#logger.warn('retention disabled; cloud provider lifecycle policies must handle retention');
    }
  }

  /** Takes a replica into its care. What it lacks is looked up once, at once. */
  add(replica: StoredReplica): void {
    this.#replicas.add(replica);
    replica.onPending = () => this.#wake(replica);
    this.#validation?.wake();
    this.#wake(replica);
    for (const schedule of this.#schedules.values()) schedule.runNow();
  }

  /** Lets a replica go, after work on it that is under way has ended. */
  async remove(replica: StoredReplica): Promise<void> {
    this.#replicas.delete(replica);
    replica.onPending = undefined;
    await replica.idle();
  }

  /** Stops all schedules; work under way is aborted and waited for. */
  async close(): Promise<void> {
    this.#stopped.abort(new Error('the store was closed'));
    const schedules = [
      ...this.#schedules.values(),
      this.#level0,
      ...(this.#validation === undefined ? [] : [this.#validation]),
    ];
    await Promise.all(schedules.map((schedule) => schedule.stop()));
    this.#replicas.clear();
  }

  /** Validates every replica now. */
  async validate(): Promise<readonly ValidationReport[]> {
    const reports: ValidationReport[] = [];
    await this.#each('validation check failed', {}, async (replica, op) => {
      reports.push(await replica.validate(op));
    });
    return reports;
  }

  #wake(replica: StoredReplica): void {
    for (const [level, schedule] of this.#schedules) {
      if (!replica.isPending(level)) continue;
      if (level === SNAPSHOT_LEVEL && replica.lacksSnapshot) schedule.runNow();
      else schedule.wake();
    }
    if (replica.isLevel0Pending) this.#level0.wake();
  }

  #levelSchedule(clock: Clock, level: CompactionLevel): Schedule {
    return new Schedule({
      clock,
      intervalMs: level.intervalMs,
      run: async () => {
        await this.#each('compaction failed', { level: level.level }, async (replica, op) => {
          await replica.compact(level, op);
        });
        return this.#some((replica) => replica.isPending(level.level));
      },
    });
  }

  #snapshotSchedule(clock: Clock, intervalMs: number): Schedule {
    return new Schedule({
      clock,
      intervalMs,
      run: async () => {
        await this.#each('snapshot failed', { level: SNAPSHOT_LEVEL }, async (replica, op) => {
          const taken = await replica.snapshotIfDue(op);
          if (taken !== undefined) await replica.enforceSnapshotRetention(op);
        });
        return this.#some((replica) => replica.isPending(SNAPSHOT_LEVEL));
      },
    });
  }

  #validationSchedule(clock: Clock, intervalMs: number): Schedule {
    return new Schedule({
      clock,
      intervalMs,
      run: async () => {
        await this.validate();
        return this.#replicas.size > 0;
      },
    });
  }

  #some(test: (replica: StoredReplica) => boolean): boolean {
    return [...this.#replicas].some(test);
  }

  /** One replica's failure is logged, counted and kept from the others. */
  async #each(
    failure: string,
    fields: Record<string, unknown>,
    task: (replica: StoredReplica, op: { signal: AbortSignal }) => Promise<void>,
  ): Promise<void> {
    const { signal } = this.#stopped;
    await forEachBounded(this.#replicas, this.#concurrency, async (replica) => {
      if (signal.aborted) return;
      try {
        await task(replica, { signal });
      } catch (error) {
        if (signal.aborted) return;
        replica.logger.error(failure, { ...fields, error });
        this.#onError(error);
      }
    });
  }
}
