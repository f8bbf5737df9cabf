/**
 * Keeps the replicas of many databases small and fast to restore: compacts their levels, takes their snapshots, deletes
 * what retention no longer needs, and validates. It never touches a file and never asks a backend about a database that
 * nothing was written to: each schedule sleeps until a replica says that there is something to do.
 */
import { Semaphore } from '../util/semaphore.ts';
import { systemClock } from '../util/clock.ts';
import type { Clock } from '../util/clock.ts';
import { DEFAULTS } from '../util/defaults.ts';
import { Mutex } from '../util/mutex.ts';
import { hasCode, isLitestreamError } from '../util/error.ts';
import { silentLogger } from '../util/logger.ts';
import type { LogFields, Logger } from '../util/logger.ts';
import { checkLevels, DEFAULT_LEVELS } from '../compaction/compaction-levels.ts';
import type { CompactionLevel } from '../compaction/compaction-levels.ts';
import { Schedule } from '../compaction/schedule.ts';
import type { StoredReplica } from './stored-replica.ts';
import type { ValidationOptions, ValidationReport } from '../verify/validation.ts';
import { SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';

/** Durations in milliseconds; defaults are those of Litestream (Go). */
export interface StoreOptions {
  /**
   * Default 1 at 30 s, 2 at 5 min, 3 at 1 h. Empty: only snapshots, and level-0 files stay until a snapshot covers
   * them.
   */
  readonly levels?: readonly CompactionLevel[] | undefined;
  /** Default 24 h. */
  readonly snapshotIntervalMs?: number | undefined;
  /** How often to look for level 0 files to delete. Default 15 s. */
  readonly level0CheckIntervalMs?: number | undefined;
  /** Default 0: no periodic validation. */
  readonly validationIntervalMs?: number | undefined;
  /** Default 0: no restore drills. */
  readonly drillIntervalMs?: number | undefined;
  readonly retentionEnabled?: boolean | undefined;
  /** Replicas worked on at the same time. Default 4, of which snapshots and validation take at most half. */
  readonly concurrency?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** Delay before a failed snapshot that is due at once is retried. */
const SNAPSHOT_RETRY_MS = 60_000;
/** Delay before a restore drill is repeated after a transient failure: its next turn may be a day away. */
const DRILL_RETRY_MS = 10 * 60_000;

/** One kind of work on every replica, at its own interval. */
interface Task {
  readonly failure: string;
  /** Fields of the log line that reports a failure. */
  readonly fields: (replica: StoredReplica) => LogFields;
  readonly isPending: (replica: StoredReplica) => boolean;
  readonly run: (replica: StoredReplica, op: { readonly signal: AbortSignal }) => Promise<unknown>;
  /** It may take long: short tasks must not wait for it. */
  readonly isLong: boolean;
  /**
   * It only reads, and other work on the same replica continues meanwhile. It takes no slots from other work. One such task runs
   * at a time, because each may need room for a database on the same disk.
   */
  readonly isAside: boolean;
  /** Does it run at once on a replica that is new to the store, not at the next boundary? */
  readonly atOnce: (replica: StoredReplica) => boolean;
  /** Replicas on which it runs or waits for its turn. */
  readonly under: Set<StoredReplica>;
}

/** What the store keeps for each replica. */
interface Care {
  /** One task at a time runs on the replica; a task that waits for its turn takes no slot. */
  readonly turns: Mutex;
  /** Aborts the work on the replica when it is removed. */
  readonly abort: AbortController;
  /** Work that is in progress, or waits for its turn. */
  readonly work: Set<Promise<void>>;
}

interface Job {
  readonly task: Task;
  readonly schedule: Schedule;
}

export class Store {
  readonly #replicas = new Map<StoredReplica, Care>();
  readonly #jobs: readonly Job[];
  readonly #snapshots: Job;
  readonly #snapshotFailedAtMs = new WeakMap<StoredReplica, number>();
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #slots: Semaphore;
  readonly #longSlots: Semaphore;
  readonly #asideSlots = new Semaphore(1);
  readonly #onError: (error: unknown) => void;
  #stopped = false;

  constructor(options: StoreOptions = {}) {
    const levels = options.levels ?? DEFAULT_LEVELS;
    checkLevels(levels);
    const clock = options.clock ?? systemClock;
    this.#clock = clock;
    const concurrency = Math.max(1, options.concurrency ?? DEFAULTS.concurrency);
    this.#logger = options.logger ?? silentLogger;
    this.#slots = new Semaphore(concurrency);
    this.#longSlots = new Semaphore(Math.max(1, concurrency >> 1));
    this.#onError = options.onError ?? (() => undefined);
    const job = (intervalMs: number, task: Task): Job => ({ task, schedule: this.#schedule(clock, intervalMs, task) });
    this.#snapshots = job(options.snapshotIntervalMs ?? DEFAULTS.snapshotIntervalMs, snapshotTask());
    const { validationIntervalMs = DEFAULTS.validationIntervalMs, drillIntervalMs = DEFAULTS.drillIntervalMs } =
      options;
    this.#jobs = [
      ...levels.map((level) => job(level.intervalMs, compactionTask(level))),
      this.#snapshots,
      job(options.level0CheckIntervalMs ?? DEFAULTS.level0CheckIntervalMs, level0Task()),
      ...(validationIntervalMs > 0 ? [job(validationIntervalMs, validationTask())] : []),
      ...(drillIntervalMs > 0 ? [job(drillIntervalMs, drillTask())] : []),
    ];
    warnUnlessRetained(options.retentionEnabled, this.#logger);
  }

  /** Adds a replica, unless the store was closed. The store looks up once, at once, what the replica lacks. */
  add(replica: StoredReplica): void {
    if (this.#stopped) return;
    this.#replicas.set(replica, { turns: new Mutex(), abort: new AbortController(), work: new Set() });
    replica.begin();
    replica.onPending = () => this.#wake(replica);
    this.#wake(replica);
    for (const { task } of this.#jobs) if (task.atOnce(replica)) this.#begin(task, replica);
  }

  /** Removes a replica. Aborts work on it that is in progress, and waits for its end. */
  async remove(replica: StoredReplica): Promise<void> {
    const care = this.#replicas.get(replica);
    care?.abort.abort(new Error('the replica was removed'));
    this.#replicas.delete(replica);
    replica.onPending = undefined;
    if (care !== undefined) await Promise.all(care.work);
    await replica.idle();
  }

  /** Stops all schedules; aborts current work and waits for its end. */
  async close(): Promise<void> {
    this.#stopped = true;
    for (const { abort } of this.#replicas.values()) abort.abort(new Error('the store was closed'));
    await Promise.all(this.#jobs.map(({ schedule }) => schedule.stop()));
    await Promise.all(Array.from(this.#replicas.values(), ({ work }) => Promise.all(work)));
    this.#replicas.clear();
  }

  /** Validates every replica now. Rejects with the first failure to read one. */
  async validate(options: ValidationOptions = {}): Promise<readonly ValidationReport[]> {
    return await Promise.all(
      [...this.#replicas.keys()].map((replica) => this.#longSlots.run(() => replica.validate(options), options.signal)),
    );
  }

  #wake(replica: StoredReplica): void {
    for (const { task, schedule } of this.#jobs) if (task.isPending(replica)) schedule.wake();
    // Without a snapshot nothing can be restored: this does not wait for a boundary.
    const failedAtMs = this.#snapshotFailedAtMs.get(replica) ?? Number.NEGATIVE_INFINITY;
    if (replica.lacksSnapshot && this.#clock.monotonic() - failedAtMs >= SNAPSHOT_RETRY_MS) {
      this.#begin(this.#snapshots.task, replica);
    }
  }

  #schedule(clock: Clock, intervalMs: number, task: Task): Schedule {
    return new Schedule({
      clock,
      intervalMs,
      run: () => {
        for (const replica of this.#replicas.keys()) this.#begin(task, replica);
        return Promise.resolve([...this.#replicas.keys()].some((replica) => task.isPending(replica)));
      },
    });
  }

  /** Starts the task on one replica, unless it is there already. One that takes long keeps no other replica waiting. */
  #begin(task: Task, replica: StoredReplica): void {
    const care = this.#replicas.get(replica);
    if (this.#stopped || care === undefined || task.under.has(replica) || !task.isPending(replica)) return;
    task.under.add(replica);
    const run = this.#run(task, replica, care).finally(() => {
      task.under.delete(replica);
      care.work.delete(run);
    });
    care.work.add(run);
  }

  /** The failure of one replica is logged and counted, and does not affect the others. */
  async #run(task: Task, replica: StoredReplica, { turns, abort }: Care): Promise<void> {
    const { signal } = abort;
    const work = async (): Promise<void> => {
      // The replica may have been removed, or processed, while it waited.
      if (this.#replicas.has(replica) && task.isPending(replica)) await task.run(replica, { signal });
    };
    const inSlot = (): Promise<void> => this.#slots.run(work, signal);
    const inTurn = (): Promise<void> => turns.run(inSlot, signal);
    try {
      if (task.isAside) await this.#asideSlots.run(work, signal);
      else await (task.isLong ? this.#longSlots.run(inTurn, signal) : inTurn());
    } catch (error) {
      // The replica has reported it, once. Work that a second writer prevents is not a failure of its own.
      if (signal.aborted || hasCode(error, 'REPLICA_CONFLICT') || hasCode(error, 'LEASE_LOST')) return;
      if (task === this.#snapshots.task) this.#snapshotFailedAtMs.set(replica, this.#clock.monotonic());
      replica.logger.error(task.failure, { ...task.fields(replica), error });
      this.#onError(error);
      if (task.isAside && isLitestreamError(error) && error.retryable) this.#repeatLater(task, replica, signal);
    }
  }

  #repeatLater(task: Task, replica: StoredReplica, signal: AbortSignal): void {
    const disarm = this.#clock.schedule(DRILL_RETRY_MS, () => {
      signal.removeEventListener('abort', disarm);
      this.#begin(task, replica);
    });
    signal.addEventListener('abort', disarm, { once: true });
  }
}

export function warnUnlessRetained(isRetentionEnabled: boolean | undefined, logger: Logger): void {
  if (isRetentionEnabled !== false) return;
  logger.warn('retention disabled; cloud provider lifecycle policies must handle retention');
}

function compactionTask(level: CompactionLevel): Task {
  return {
    failure: 'compaction failed',
    fields: () => ({ level: level.level }),
    isPending: (replica) => replica.isPending(level.level),
    run: (replica, op) => replica.compact(level, op),
    isLong: false,
    isAside: false,
    atOnce: (replica) => replica.isOverdue(level),
    under: new Set(),
  };
}

function snapshotTask(): Task {
  return {
    failure: 'compaction failed',
    fields: () => ({ level: SNAPSHOT_LEVEL }),
    isPending: (replica) => replica.isPending(SNAPSHOT_LEVEL),
    run: async (replica, op) => {
      const taken = await replica.snapshotIfDue(op);
      if (taken === undefined) return;
      try {
        await replica.enforceSnapshotRetention(op);
      } catch (error) {
        if (op.signal.aborted || hasCode(error, 'LEASE_LOST')) throw error;
        replica.logger.error('retention enforcement failed', { error });
      }
    },
    isLong: true,
    isAside: false,
    atOnce: () => true,
    under: new Set(),
  };
}

function level0Task(): Task {
  return {
    failure: 'l0 retention enforcement failed',
    fields: ({ place }) => place,
    isPending: (replica) => replica.isLevel0Pending,
    run: (replica, op) => replica.enforceLevel0Retention(op),
    isLong: false,
    isAside: false,
    atOnce: () => false,
    under: new Set(),
  };
}

function validationTask(): Task {
  return {
    failure: 'validation check failed',
    fields: () => ({}),
    isPending: () => true,
    run: (replica, op) => replica.validate(op),
    isLong: true,
    isAside: false,
    atOnce: () => false,
    under: new Set(),
  };
}

function drillTask(): Task {
  return {
    failure: 'restore drill failed',
    fields: () => ({}),
    isPending: (replica) => replica.isDrillPending,
    run: (replica, op) => replica.drill(op),
    isLong: false,
    isAside: true,
    atOnce: () => false,
    under: new Set(),
  };
}
