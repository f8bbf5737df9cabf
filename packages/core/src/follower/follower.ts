import { formatTxid, isChained } from '@litestream/ltx';
import type { LtxHeader, TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import { sleep, systemClock } from '../util/clock.ts';
import { Mutex } from '../util/mutex.ts';
import { hasCode, LitestreamError } from '../util/error.ts';
import { silentLogger } from '../util/logger.ts';
import type { Logger } from '../util/logger.ts';
import { traced } from '../util/tracing.ts';
import { applyFiles } from './apply.ts';
import type { Applied } from './apply.ts';
import type { FollowedDatabase } from './copy.ts';
import { CopyRecord } from './copy-record.ts';
import type { Step, StepContext } from './next-step.ts';
import { openCopy } from './open-copy.ts';
import type { CopyOptions, OpenedCopy } from './open-copy.ts';
import { StepSearch } from './step-search.ts';
import { otherTimelineReason } from './timeline-check.ts';

export interface FollowOptions extends CopyOptions {
  /** How often to look for new files. Default 1 s. */
  readonly intervalMs?: number | undefined;
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
/** Frames in the WAL that make a checkpoint due; SQLite's own default. */
const CHECKPOINT_FRAME_COUNT = 1000;
const ATTEMPT_COUNT_MAX = 3;

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
  readonly #record: CopyRecord;
  readonly #search: StepSearch;
  /** Pages of another size cannot be entered before the WAL of the copy is empty, which readers may keep it from. */
  #isWalInTheWay = false;
  #isWaitTold = false;
  #isClosed = false;

  private constructor(client: ReplicaClient, options: FollowOptions, { copy, position }: OpenedCopy) {
    this.path = copy.path;
    this.#client = client;
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    this.#copy = copy;
    this.#record = new CopyRecord(copy.path, position);
    this.#search = new StepSearch(this.#record);
  }

  /**
   * Restores the copy, or goes on with the one that is there by its `-txid` file; `overwrite` takes over an existing
   * database without such a file. Rejects with `OUTPUT_EXISTS` for one without, and with the errors of `restore`.
   */
  static async open(client: ReplicaClient, options: FollowOptions): Promise<Follower> {
    const { intervalMs = INTERVAL_DEFAULT_MS } = options;
    if (!(intervalMs > 0)) throw invalid(`the interval is a time above zero, not ${intervalMs} ms`);
    if (options.output === '') throw invalid('output path required');
    return new Follower(client, options, await openCopy(client, options));
  }

  /** The transaction that the copy holds. */
  get position(): TXID {
    return this.#record.position;
  }

  /** Follows until the signal is aborted, and then resolves. Failures are logged and tried again. */
  async run(signal: AbortSignal): Promise<void> {
    const { intervalMs = INTERVAL_DEFAULT_MS, output } = this.#options;
    this.#logger.info('entering follow mode', { output, txid: formatTxid(this.position), interval: intervalMs });
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
          return this.position;
        } catch (error) {
          // Retention or compaction removed a file after it was listed: other files lead there now.
          const isGone = hasCode(error, 'NOT_FOUND') || hasCode(error, 'OBJECT_CHANGED');
          if (!isGone || attempt === ATTEMPT_COUNT_MAX) throw error;
          this.#search.expire();
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
        if (!this.#isWaitTold) this.#logger.warn('follow: the page size changed, waiting for readers to end');
        this.#isWaitTold = true;
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
    const record = this.#record;
    if (record.changeCount !== undefined && !this.#isUntouched) record.apply({ kind: 'foreign-write' });
    // What is not certain is looked at under the lock: other programs that write to the copy have finished then.
    if (record.state.kind !== 'current') {
      await this.#copy.locked(
        signal,
        async () => await this.#takeOrRebase(await this.#search.certain(context), context),
      );
      return;
    }
    const step = await this.#search.next(context);
    if (step.kind === 'none' || step.kind === 'ahead') return;
    await this.#copy.locked(signal, async () => {
      // Written to since: the next round sees to it.
      if (this.#isUntouched) await this.#takeOrRebase(step, context);
    });
  }

  /** Does the index of the copy count no change by another program? */
  get #isUntouched(): boolean {
    return this.#copy.index.readHeader().changeCount === this.#record.changeCount;
  }

  /** Inside the lock. A step that is refused left a reason to rebase, which the next one heeds. */
  async #takeOrRebase(step: Step, context: StepContext): Promise<void> {
    const { isRefused } = await this.#take(step, context);
    if (isRefused) await this.#take(await this.#search.certain(context), context);
  }

  /** Inside the lock. Refused: the files belong to another timeline than the copy, and nothing but a rebase will do. */
  async #take(step: Step, context: StepContext): Promise<{ isRefused: boolean }> {
    const record = this.#record;
    if (step.kind === 'ahead') return { isRefused: false };
    const changeCount = this.#copy.index.readHeader().changeCount;
    if (step.kind === 'none') {
      if (record.divergence === undefined && !step.hasGap) record.apply({ kind: 'counted', changeCount });
      return { isRefused: false };
    }
    const isWhole = step.kind === 'rebase';
    if (isWhole) this.#logger.warn('follow: comparing the whole database', { reason: step.reason });
    const { chain } = step;
    const before = record.state;
    record.apply({ kind: 'applying' });
    const facts = (): Record<string, unknown> => ({ path: this.path, files: chain.length, isRebase: isWhole });
    const applied = await traced('follow', facts, () =>
      applyFiles(this.#copy, {
        client: this.#client,
        chain,
        isWhole,
        signal: context.signal,
        beforeCommit: (newest, oldest) => this.#announce(step, newest, oldest, context),
      }),
    ).catch((error: unknown) => {
      // Once a snapshot reaches past the damaged file, the whole database leads around it.
      const isDamaged = hasCode(error, 'LTX_CORRUPT') || hasCode(error, 'CHECKSUM_MISMATCH');
      if (isDamaged) record.apply({ kind: 'diverged', reason: 'a file that continues the copy is damaged' });
      throw error;
    });
    if (applied === 'refused' || applied === 'wal in the way') {
      record.apply({ kind: 'not-applied', before });
      this.#isWalInTheWay = applied === 'wal in the way';
      return { isRefused: applied === 'refused' };
    }
    if (applied.header !== undefined) this.#copy.confirm(applied.header);
    const isRebase = applied.isWhole;
    await this.#arrive(chain.at(-1)?.maxTxid ?? record.position, applied, { isRebase, fileCount: chain.length });
    this.#isWaitTold = false;
    record.apply({ kind: 'counted', changeCount: applied.header?.changeCount ?? changeCount });
    return { isRefused: false };
  }

  /**
   * Writes down what the copy is about to become. Asked at the very end whether these files are of its timeline: if the file
   * it ends with is still there, no other timeline can have begun before they were read.
   */
  async #announce(
    step: Step & { chain: readonly LtxFileInfo[] },
    newest: LtxHeader,
    oldest: LtxHeader,
    context: StepContext,
  ): Promise<boolean> {
    const record = this.#record;
    const isRebase = step.kind === 'rebase';
    const reason = isRebase ? undefined : await this.#divergenceOf(oldest, context);
    if (reason !== undefined) {
      record.apply({ kind: 'diverged', reason });
      return false;
    }
    const last = step.chain.at(-1);
    if (last === undefined) throw new Error('a chain holds at least one file');
    await record.announce(last, newest, isRebase);
    if (isRebase) record.apply({ kind: 'diverged', reason: step.reason });
    return true;
  }

  /** Why a file does not continue the copy; undefined if it does. */
  async #divergenceOf(header: LtxHeader, context: StepContext): Promise<string | undefined> {
    const { target, position } = this.#record;
    if (target === undefined) return undefined;
    if (target.txid === position && !isChained(target.header, header))
      return 'the next file starts from another database than the copy';
    return await otherTimelineReason(context, target);
  }

  async #arrive(toTxid: TXID, applied: Applied, facts: { isRebase: boolean; fileCount: number }): Promise<void> {
    const fromTxid = this.position;
    await this.#record.arrive(toTxid);
    this.#search.reached();
    this.#logger.info('follow: applied updates', { from_txid: formatTxid(fromTxid), to_txid: formatTxid(toTxid) });
    this.#options.onUpdate?.({ fromTxid, toTxid, ...facts, pageCount: applied.pageCount });
  }
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function invalid(message: string): LitestreamError {
  return new LitestreamError(message, { code: 'INVALID_ARGUMENT', operation: 'follow' });
}
