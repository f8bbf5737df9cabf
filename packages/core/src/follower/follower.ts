import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { formatTxid, isChained } from '@litestream/ltx';
import type { LtxHeader, TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import { isErrno } from '../storage/file/file-durability.ts';
import { sleep, systemClock } from '../util/clock.ts';
import { Mutex } from '../util/mutex.ts';
import type { SqliteDriver } from '../sqlite/driver/sqlite-driver.ts';
import { nodeSqlite } from '../sqlite/driver/node-sqlite.ts';
import { hasCode, LitestreamError } from '../util/error.ts';
import { silentLogger } from '../util/logger.ts';
import type { Logger } from '../util/logger.ts';
import { fault } from '../restore/read/ltx-errors.ts';
import { requireReplaceable } from '../restore/write/replaceable.ts';
import { restore } from '../restore/restore.ts';
import type { NewestFile, RestoreOptions } from '../restore/plan/restore-options.ts';
import { traced } from '../util/tracing.ts';
import { applyFiles } from './apply.ts';
import type { Applied } from './apply.ts';
import { FollowedDatabase } from './copy.ts';
import { completeStep, nextStep, wholeStep } from './next-step.ts';
import type { Step, StepContext } from './next-step.ts';
import { looksLikeOtherTimeline, otherTimelineReason } from './timeline-check.ts';
import { readSidecar, writeSidecar } from '../restore/write/sidecar.ts';
import {
  readRecordedPosition,
  removeSidecars,
  targetRecordOf,
  writeTargetRecord,
} from '../restore/write/target-record.ts';
import type { TargetRecord } from '../restore/write/target-record.ts';

export interface FollowOptions
  extends
    Op,
    Pick<RestoreOptions, 'output' | 'overwrite' | 'parallelism' | 'integrityCheck' | 'onProgress' | 'logger'> {
  /** How often to look for new files. Default 1 s. */
  readonly intervalMs?: number | undefined;
  /** Default `nodeSqlite`. A program that reads the copy itself must give its own library. */
  readonly driver?: SqliteDriver | undefined;
  /** Called after each transaction on the copy. */
  readonly onUpdate?: ((update: FollowUpdate) => void) | undefined;
}

/** One transaction on a copy. */
export interface FollowUpdate {
  readonly fromTxid: TXID;
  readonly toTxid: TXID;
  /** The whole database was compared and put right, instead of continued. */
  readonly isRebase: boolean;
  readonly fileCount: number;
  /** Pages written. */
  readonly pageCount: number;
}

const INTERVAL_DEFAULT_MS = 1000;
/** After failures the interval doubles up to this. */
const BACKOFF_MAX_MS = 60_000;
/** How often to list all levels although level 0 shows nothing new: its files may have been compacted away unseen. */
const COMPLETE_INTERVAL_MS = 60_000;
/** Frames in the log that make a checkpoint due; SQLite's own default. */
const CHECKPOINT_FRAME_COUNT = 1000;
const ATTEMPT_COUNT_MAX = 3;
/** A replica that ends before the copy is believed when it was listed so this many times in a row. */
const AHEAD_COUNT_MAX = 2;

/**
 * A read-only copy of a database that is kept up with its replica. Other processes read it with any SQLite, at any
 * time: each change of the copy is one SQLite transaction, also when this process is killed in the middle of it.
 */
export class Follower implements AsyncDisposable {
  readonly path: string;
  readonly #client: ReplicaClient;
  readonly #options: FollowOptions;
  readonly #logger: Logger;
  readonly #copy: FollowedDatabase;
  readonly #mutex = new Mutex();
  #position: TXID;
  /** What the copy was last to become: with another TXID than `position`, it may or may not be that. */
  #target: TargetRecord | undefined;
  /** What the copy's index counted when its content was last known to be that of `position`. */
  #changeCount: number | undefined;
  #completeAtMs = Number.NEGATIVE_INFINITY;
  #aheadCount = 0;
  #needsRebase: string | undefined;
  /** Pages of another size cannot be entered before the log is empty, which readers may keep it from. */
  #isWalInTheWay = false;
  #isWaitReported = false;
  #isClosed = false;

  private constructor(
    client: ReplicaClient,
    options: FollowOptions,
    parts: { copy: FollowedDatabase; position: TXID | undefined },
  ) {
    this.path = parts.copy.path;
    this.#client = client;
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    this.#copy = parts.copy;
    this.#position = parts.position ?? 0n;
    if (parts.position === undefined) this.#needsRebase = 'the copy was not followed before';
  }

  /**
   * Restores the copy, or goes on with the one that is there by its `-txid` file; `overwrite` takes over an existing
   * database without such a file. Rejects with `OUTPUT_EXISTS` for one without, and with the errors of `restore`.
   */
  static async open(client: ReplicaClient, options: FollowOptions): Promise<Follower> {
    const logger = options.logger ?? silentLogger;
    const { intervalMs = INTERVAL_DEFAULT_MS } = options;
    if (!(intervalMs > 0)) throw invalid(`the interval is a time above zero, not ${intervalMs} ms`);
    if (options.output === '') throw invalid('output path required');
    const path = resolve(options.output);
    options.signal?.throwIfAborted();
    await requireReplaceable(path);
    if (!(await isDatabase(path))) {
      await removeSidecars(path);
      // The sidecars first: killed before the end, there is no database, and it is restored again.
      const beforePublish = async ({ file, header }: NewestFile): Promise<void> => {
        await writeTargetRecord(path, targetRecordOf(file, header, false));
        await writeSidecar(path, file.maxTxid);
      };
      await restore(client, { ...options, output: path }, { ltxOnly: true, beforePublish });
    } else {
      const txid = await readSidecarUnless(options.overwrite === true, path);
      if (txid !== undefined)
        logger.info('resuming follow mode from crash recovery', {
          txid: formatTxid(txid),
          output: options.output,
        });
    }
    const driver = options.driver ?? nodeSqlite;
    const copy = await FollowedDatabase.open(path, { driver, signal: options.signal });
    const position = await readSidecarUnless(options.overwrite === true, path);
    return new Follower(client, options, { copy, position });
  }

  /** The transaction that the copy holds. */
  get position(): TXID {
    return this.#position;
  }

  /** Follows until the signal is aborted, and then resolves. Failures are logged and tried again. */
  async run(signal: AbortSignal): Promise<void> {
    const { intervalMs = INTERVAL_DEFAULT_MS, output } = this.#options;
    this.#logger.info('entering follow mode', { output, txid: formatTxid(this.#position), interval: intervalMs });
    let errorCount = 0;
    while (!signal.aborted) {
      try {
        await this.poll({ signal });
        errorCount = 0;
      } catch (error) {
        if (isAborted(signal)) break;
        if (hasCode(error, 'DATABASE_MISSING')) throw error;
        errorCount++;
        this.#logger.error('follow: error applying updates', { err: error, consecutive_errors: errorCount });
      }
      const delayMs = Math.min(intervalMs * 2 ** Math.min(errorCount, 16), Math.max(BACKOFF_MAX_MS, intervalMs));
      await sleep(systemClock, delayMs, signal).catch(() => undefined);
    }
    this.#logger.info('follow mode stopped');
  }

  /** Applies what is new by now. Resolves with the transaction that the copy holds then. */
  async poll(options: Op = {}): Promise<TXID> {
    return await this.#mutex.run(async () => {
      if (this.#isClosed) throw invalid('this follower is closed');
      this.#copy.check();
      for (let attempt = 1; ; attempt++) {
        try {
          await this.#pollOnce(options.signal);
          return this.#position;
        } catch (error) {
          // Retention or compaction removed a file after it was listed: other files lead there now.
          const isGone = hasCode(error, 'NOT_FOUND') || hasCode(error, 'OBJECT_CHANGED');
          if (!isGone || attempt === ATTEMPT_COUNT_MAX) throw error;
          this.#completeAtMs = Number.NEGATIVE_INFINITY;
        }
      }
    }, options.signal);
  }

  /** Ends it. The copy stays, with its position beside it, and can be followed again. */
  async close(): Promise<void> {
    await this.#mutex.run(async () => {
      if (this.#isClosed) return;
      this.#isClosed = true;
      this.#copy.close();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #pollOnce(signal: AbortSignal | undefined): Promise<void> {
    const { pageSize } = this.#copy;
    if (!this.#isWalInTheWay) await this.#catchUp(signal);
    for (let attempt = 1; this.#isWalInTheWay && attempt <= ATTEMPT_COUNT_MAX; attempt++) {
      if (!this.#copy.emptyWal()) {
        if (!this.#isWaitReported) this.#logger.warn('follow: the page size changed, waiting for readers to end');
        this.#isWaitReported = true;
        return;
      }
      this.#isWalInTheWay = false;
      await this.#catchUp(signal);
    }
    // Pages of one size only lie in the database file: the sooner, the less a reader has to see through.
    const isChanged = this.#copy.pageSize !== pageSize;
    if (isChanged || this.#copy.index.readHeader().frameCount >= CHECKPOINT_FRAME_COUNT) this.#copy.checkpoint();
  }

  async #catchUp(signal: AbortSignal | undefined): Promise<void> {
    const context: StepContext = { client: this.#client, logger: this.#logger, signal };
    if (this.#changeCount !== undefined && this.#copy.index.readHeader().changeCount !== this.#changeCount) {
      this.#changeCount = undefined;
      this.#needsRebase = 'another program wrote to the copy';
    }
    // What is not sure is looked at under the lock: whoever else writes to the copy has finished then.
    if (this.#changeCount === undefined || this.#needsRebase !== undefined) {
      await this.#copy.locked(signal, async () => await this.#takeOrRebase(await this.#certainStep(context), context));
    } else {
      const step = await this.#next(context);
      if (step.kind === 'none' || step.kind === 'ahead') return;
      await this.#copy.locked(signal, async () => {
        // Written to since: the next round sees to it.
        if (this.#copy.index.readHeader().changeCount === this.#changeCount) await this.#takeOrRebase(step, context);
      });
    }
  }

  /** Inside the lock. A step that is refused left a reason to rebase, which the next one heeds. */
  async #takeOrRebase(step: Step, context: StepContext): Promise<void> {
    const { isRefused } = await this.#take(step, context);
    if (isRefused) await this.#take(await this.#certainStep(context), context);
  }

  /** The copy holds the transaction of its sidecar, or the one of its target, which this step reaches as well. */
  async #certainStep(context: StepContext): Promise<Step> {
    let reason = this.#needsRebase ?? (await this.#readRecordedPosition());
    if (reason === undefined) {
      const step = await completeStep(context, this.#position, this.#known);
      if (!('hasGap' in step) || !step.hasGap) return await this.#checkTimeline(step, context);
      reason = 'what the copy held when it was last followed may lie behind a gap';
    }
    return await wholeStep(context, reason, { kind: 'none', hasGap: true });
  }

  /** Another follower may have written the files beside the copy since. The result tells why only a rebase will do. */
  async #readRecordedPosition(): Promise<string | undefined> {
    const { position, target, reason } = await readRecordedPosition(this.path);
    if (reason === undefined) this.#position = position;
    this.#target = target;
    return (this.#needsRebase = reason);
  }

  /** No transaction after this one can be in the copy. */
  get #known(): TXID {
    const target = this.#target?.txid ?? 0n;
    return target > this.#position ? target : this.#position;
  }

  async #next(context: StepContext): Promise<Step> {
    const isDue = performance.now() - this.#completeAtMs >= COMPLETE_INTERVAL_MS || this.#aheadCount > 0;
    if (!isDue) return await nextStep(context, this.#position);
    const step = await completeStep(context, this.#position);
    this.#completeAtMs = performance.now();
    return this.#checkTimeline(step, context);
  }

  /** A replica that was reset is followed as it is now, but not by the first listing that says so. */
  async #checkTimeline(step: Step, context: StepContext): Promise<Step> {
    if (step.kind !== 'ahead') {
      this.#aheadCount = 0;
      if (step.kind !== 'none' || this.#target === undefined) return step;
      if (!looksLikeOtherTimeline(context, step.ending ?? [], this.#target)) return step;
      const reason = await otherTimelineReason(context, this.#target);
      return reason === undefined ? step : await wholeStep(context, reason, step);
    }
    this.#logger.warn('follow: the replica ends before the copy', {
      'txid.replica': formatTxid(step.newest),
      'txid.copy': formatTxid(this.#known),
    });
    if (++this.#aheadCount < AHEAD_COUNT_MAX) return step;
    return await wholeStep(context, 'the replica was reset', step);
  }

  /** Inside the lock. Refused: the files belong to another history than the copy, and nothing but a rebase will do. */
  async #take(step: Step, context: StepContext): Promise<{ isRefused: boolean }> {
    if (step.kind === 'ahead') return { isRefused: false };
    const before = this.#copy.index.readHeader().changeCount;
    if (step.kind === 'none') {
      if (this.#needsRebase === undefined && !step.hasGap) this.#changeCount = before;
      return { isRefused: false };
    }
    const isWhole = step.kind === 'rebase';
    if (isWhole) this.#logger.warn('follow: comparing the whole database', { reason: step.reason });
    const { chain } = step;
    // Whatever happens now, the copy is not known to be at the position until the end.
    const known = this.#changeCount;
    this.#changeCount = undefined;
    const facts = (): Record<string, unknown> => ({ path: this.path, files: chain.length, isRebase: isWhole });
    const applied = await traced('follow', facts, () =>
      applyFiles(this.#copy, {
        client: this.#client,
        chain,
        isWhole,
        signal: context.signal,
        beforeCommit: (newest, oldest) => this.#recordTarget(step, newest, oldest, context),
      }),
    ).catch((error: unknown) => {
      // Once a snapshot reaches past the damaged file, the whole database leads around it.
      const isDamaged = hasCode(error, 'LTX_CORRUPT') || hasCode(error, 'CHECKSUM_MISMATCH');
      if (isDamaged) this.#needsRebase ??= 'a file that continues the copy is damaged';
      throw error;
    });
    if (applied === 'refused' || applied === 'wal in the way') {
      this.#changeCount = known;
      this.#isWalInTheWay = applied === 'wal in the way';
      return { isRefused: applied === 'refused' };
    }
    if (applied.header !== undefined) this.#copy.confirm(applied.header);
    const isRebase = applied.isWhole;
    await this.#arrive(chain.at(-1)?.maxTxid ?? this.#position, applied, { isRebase, fileCount: chain.length });
    this.#isWaitReported = false;
    this.#changeCount = applied.header?.changeCount ?? before;
    return { isRefused: false };
  }

  /**
   * Writes down what the copy is about to become. Asked at the very end whether these files are of its history: if the file
   * it ends with is still there, no other history can have begun before they were read.
   */
  async #recordTarget(
    step: Step & { chain: readonly LtxFileInfo[] },
    newest: LtxHeader,
    oldest: LtxHeader,
    context: StepContext,
  ): Promise<boolean> {
    const isRebase = step.kind === 'rebase';
    if (!isRebase && this.#target !== undefined) {
      const isContinued = this.#target.txid !== this.#position || isChained(this.#target.header, oldest);
      this.#needsRebase = isContinued
        ? await otherTimelineReason(context, this.#target)
        : 'the next file starts from another database than the copy';
      if (this.#needsRebase !== undefined) return false;
    }
    const last = step.chain.at(-1);
    if (last === undefined) throw new Error('a chain holds at least one file');
    const target = targetRecordOf(last, newest, isRebase);
    await writeTargetRecord(this.path, target);
    this.#target = target;
    if (isRebase) this.#needsRebase ??= step.reason;
    return true;
  }

  async #arrive(toTxid: TXID, applied: Applied, facts: { isRebase: boolean; fileCount: number }): Promise<void> {
    const fromTxid = this.#position;
    await writeSidecar(this.path, toTxid);
    this.#position = toTxid;
    this.#needsRebase = undefined;
    this.#aheadCount = 0;
    this.#logger.info('follow: applied updates', { from_txid: formatTxid(fromTxid), to_txid: formatTxid(toTxid) });
    this.#options.onUpdate?.({ fromTxid, toTxid, ...facts, pageCount: applied.pageCount });
  }
}

/** An empty file is no database yet: a restore replaces it. */
async function isDatabase(path: string): Promise<boolean> {
  try {
    return (await stat(path)).size > 0;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw fault(path, error);
  }
}

async function readSidecarUnless(takeOver: boolean, path: string): Promise<TXID | undefined> {
  try {
    const txid = await readSidecar(path);
    if (txid !== undefined || takeOver) return txid;
  } catch (error) {
    if (takeOver && hasCode(error, 'DATABASE_INVALID')) return undefined;
    throw error;
  }
  throw new LitestreamError(`cannot resume follow mode: database exists but no -txid file found: ${path}`, {
    code: 'OUTPUT_EXISTS',
    operation: 'follow',
    object: path,
    hint: 'Delete the database to restore it from scratch, or compare it with the replica and take it over with -force (`overwrite: true` in code).',
  });
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function invalid(message: string): LitestreamError {
  return new LitestreamError(message, { code: 'INVALID_ARGUMENT', operation: 'follow' });
}
