import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../client/contract.ts';
import { hasCode, LitestreamError } from '../error.ts';
import { silentLogger } from '../logger.ts';
import type { Logger } from '../logger.ts';
import type { RestoreTarget } from './chain.ts';
import { checkIntegrity } from './integrity.ts';
import type { IntegrityCheck } from './integrity.ts';
import { checkOutput, Output } from './output.ts';
import { planRestore } from './plan.ts';
import { InlinePool, WorkerPool } from './range-pool.ts';
import type { RangePool } from './range-pool.ts';
import { Spool } from './spool.ts';
import { writeDatabase } from './write-database.ts';
import type { WrittenDatabase } from './write-database.ts';

export interface RestoreOptions extends RestoreTarget, Op {
  /** Path of the database to make. Missing folders are created. */
  readonly output: string;
  /** Replace an existing output and its side files. Default false. */
  readonly overwrite?: boolean | undefined;
  /** Worker threads. Default: the number of cores, at most 4. */
  readonly parallelism?: number | undefined;
  /** Let SQLite check the result before it appears at its place. Default `none`. */
  readonly integrityCheck?: IntegrityCheck | undefined;
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined;
  readonly logger?: Logger | undefined;
}

export interface RestoreProgress {
  readonly phase: 'write' | 'sync' | 'check';
  /** Bytes of LTX frames decoded so far. */
  readonly bytesDone: number;
  /** Bytes of the files of the plan, which is a little more. */
  readonly bytesTotal: number;
  /** Pages of the output that are written. */
  readonly pagesDone: number;
}

export interface RestoreResult {
  readonly output: string;
  /** The restored state: the database after this transaction. */
  readonly txid: TXID;
  /** Time of the last file, as the replica lists it. */
  readonly timestamp: Date;
  readonly pageSize: number;
  readonly pageCount: number;
  /** Bytes of the database. */
  readonly size: number;
  /** What was applied, in this order. */
  readonly plan: readonly LtxFileInfo[];
  /** Bytes of those files. */
  readonly inputSize: number;
  readonly planDurationMs: number;
  readonly writeDurationMs: number;
  readonly syncDurationMs: number;
  readonly checkDurationMs: number;
}

/** For core itself. */
export interface RestoreHooks {
  /** Called when the output is whole, before it appears at its place. */
  readonly beforePublish?: ((txid: TXID) => Promise<void>) | undefined;
}

const PLAN_COUNT_MAX = 3;
const PARALLELISM_DEFAULT_MAX = 4;
/** How often the output is written back while it grows: the disk then works beside the workers, not after them. */
const FLUSH_COUNT = 4;
/** Below this many bytes of input, starting workers takes longer than they save. */
const INLINE_INPUT_SIZE_MAX = 2 << 20;

/**
 * Restores a database from a replica: plans, then decodes every page once, straight into its place. The output appears
 * whole or not at all; a failed or aborted restore leaves nothing behind.
 *
 * Every file's checksum is verified. Rejects with the errors of `planRestore`, `OUTPUT_EXISTS`, `LTX_CORRUPT`,
 * `CHECKSUM_MISMATCH`, `DATABASE_INVALID` (integrity check), `DISK_FULL`, `PERMISSION_DENIED`, or the signal's reason.
 */
export async function restore(
  client: ReplicaClient,
  options: RestoreOptions,
  hooks: RestoreHooks = {},
): Promise<RestoreResult> {
  const logger = options.logger ?? silentLogger;
  checkOptions(options);
  options.signal?.throwIfAborted();
  const path = resolve(options.output);
  if (options.overwrite !== true) await checkOutput(path);
  let startMs = performance.now();
  let plan = await planRestore(client, options);
  await using output = await Output.create(path, options.overwrite ?? false);
  for (let attempt = 1; ; attempt++) {
    const last = plan.at(-1);
    if (last === undefined) throw new Error('a restore plan holds at least one file');
    logger.debug('restore plan', { n: plan.length, txid: last.maxTxid, timestamp: last.timestamp });
    const plannedMs = performance.now();
    try {
      const written = await writePlan(client, plan, output, options);
      const writtenMs = performance.now();
      const progress = { bytesDone: inputSizeOf(plan), bytesTotal: inputSizeOf(plan), pagesDone: written.pagesWritten };
      options.onProgress?.({ phase: 'sync', ...progress });
      await output.sync();
      const syncedMs = performance.now();
      if (options.integrityCheck !== undefined && options.integrityCheck !== 'none') {
        options.onProgress?.({ phase: 'check', ...progress });
        await checkIntegrity(output.temporaryPath, options.integrityCheck, options.signal);
        logger.info('post-restore integrity check passed');
      }
      const checkedMs = performance.now();
      options.signal?.throwIfAborted();
      await hooks.beforePublish?.(last.maxTxid);
      logger.debug('renaming database from temporary location');
      await output.publish();
      return {
        output: path,
        txid: last.maxTxid,
        timestamp: last.timestamp,
        pageSize: written.pageSize,
        pageCount: written.pageCount,
        size: written.pageCount * written.pageSize,
        plan,
        inputSize: inputSizeOf(plan),
        planDurationMs: plannedMs - startMs,
        writeDurationMs: writtenMs - plannedMs,
        syncDurationMs: syncedMs - writtenMs,
        checkDurationMs: checkedMs - syncedMs,
      };
    } catch (error) {
      // Retention or compaction removed a file after it was listed: another chain of files leads there now.
      const isGone = hasCode(error, 'NOT_FOUND') || hasCode(error, 'OBJECT_CHANGED');
      if (!isGone || attempt === PLAN_COUNT_MAX) throw error;
      logger.debug('planned file is gone, planning again', { attempt, error: error.message });
      await output.truncate(0);
      startMs = performance.now();
      plan = await planRestore(client, options);
    }
  }
}

async function writePlan(
  client: ReplicaClient,
  plan: readonly LtxFileInfo[],
  output: Output,
  options: RestoreOptions,
): Promise<WrittenDatabase> {
  const bytesTotal = inputSizeOf(plan);
  await using spool = new Spool(output.temporaryPath);
  await using pool = poolFor(bytesTotal, options.parallelism);
  let bytesDone = 0;
  let bytesFlushed = 0;
  let pagesDone = 0;
  return await writeDatabase({
    client,
    plan,
    output: output.descriptor,
    outputPath: output.temporaryPath,
    truncate: (size) => output.truncate(size),
    pool,
    spool,
    signal: options.signal ?? new AbortController().signal,
    onRange(inputSize, pagesWritten) {
      bytesDone += inputSize;
      pagesDone += pagesWritten;
      if (bytesDone - bytesFlushed > bytesTotal / FLUSH_COUNT && bytesTotal > INLINE_INPUT_SIZE_MAX) {
        bytesFlushed = bytesDone;
        output.flush();
      }
      options.onProgress?.({ phase: 'write', bytesDone, bytesTotal, pagesDone });
    },
  });
}

function poolFor(inputSize: number, parallelism: number | undefined): RangePool {
  if (inputSize <= INLINE_INPUT_SIZE_MAX) return new InlinePool();
  return new WorkerPool(parallelism ?? Math.min(availableParallelism(), PARALLELISM_DEFAULT_MAX));
}

function inputSizeOf(plan: readonly LtxFileInfo[]): number {
  return plan.reduce((sum, file) => sum + file.size, 0);
}

function checkOptions(options: RestoreOptions): void {
  const { output, parallelism, integrityCheck } = options;
  if (output === '') throw invalid('output path required');
  if (parallelism !== undefined && (!Number.isInteger(parallelism) || parallelism < 1)) {
    throw invalid(`parallelism is a whole number from 1, not ${parallelism}`);
  }
  if (integrityCheck !== undefined && !['none', 'quick', 'full'].includes(integrityCheck)) {
    throw invalid(`unsupported integrity check mode: ${integrityCheck}`);
  }
}

function invalid(message: string): LitestreamError {
  return new LitestreamError(message, { code: 'INVALID_ARGUMENT', operation: 'restore' });
}
