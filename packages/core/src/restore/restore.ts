import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { formatTxid } from '@litestream/ltx';
import type { LtxFileInfo, ReplicaClient } from '../storage/contract/contract.ts';
import { LitestreamError, hasCode } from '../util/error.ts';
import { removeSidecars } from './write/target-record.ts';
import { SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';
import { silentLogger } from '../util/logger.ts';
import { traced } from '../util/tracing.ts';
import { finishOutput } from './write/finish-output.ts';
import { checkOutput, Output } from './write/output.ts';
import { planRestore, planWithDoubts } from './plan/plan.ts';
import type { RestorePlan } from './plan/plan.ts';
import { InlinePool, WorkerPool } from './decode/range-pool.ts';
import type { RangePool } from './decode/range-pool.ts';
import { checkOptions } from './plan/restore-options.ts';
import type { RestoreHooks, RestoreOptions, RestoreResult } from './plan/restore-options.ts';
import { Spool } from './read/spool.ts';
import { prefersV3 } from './v3/choose-format.ts';
import { listV3 } from './v3/listing.ts';
import { planV3 } from './v3/plan-v3.ts';
import type { V3Plan } from './v3/plan-v3.ts';
import { restoreV3 } from './v3/restore-v3.ts';
import { writeDatabase } from './write/write-database.ts';
import type { WrittenDatabase } from './write/write-database.ts';

const PLAN_COUNT_MAX = 3;
const PARALLELISM_DEFAULT_MAX = 4;
/** How often the output is flushed while it grows: then the disk works while the workers do, not after them. */
const FLUSH_COUNT = 4;
/** Below this many bytes of input, starting workers takes longer than they save. */
const INLINE_INPUT_SIZE_MAX = 2 << 20;

/**
 * Restores a database from a replica: plans, then decodes every page once, directly to its offset. The output appears
 * complete or not at all; a failed or aborted restore leaves nothing behind.
 *
 * Every file's checksum is verified. Rejects with the errors of `planRestore`, `OUTPUT_EXISTS`, `LTX_CORRUPT`,
 * `CHECKSUM_MISMATCH`, `DATABASE_INVALID` (integrity check), `DISK_FULL`, `PERMISSION_DENIED`, or the signal's reason.
 */
export async function restore(
  client: ReplicaClient,
  options: RestoreOptions,
  hooks: RestoreHooks = {},
): Promise<RestoreResult> {
  const { output, txid, timestamp } = options;
  const facts = (): Record<string, unknown> => ({ replica: client.type, output, txid, timestamp });
  return await traced('restore', facts, () => restoreUntraced(client, options, hooks));
}

async function restoreUntraced(
  client: ReplicaClient,
  options: RestoreOptions,
  hooks: RestoreHooks,
): Promise<RestoreResult> {
  const logger = options.logger ?? silentLogger;
  checkOptions(options);
  options.signal?.throwIfAborted();
  const path = resolve(options.output);
  if (options.overwrite !== true) await checkOutput(path);
  const beforePublish = hooks.beforePublish ?? (() => removeSidecars(path));
  let startMs = performance.now();
  const planned = await planFormat(client, options);
  if (planned.format === 'v0.3') {
    if (hooks.ltxOnly === true) throw onlyV3();
    return await restoreV3(client, planned.plan, { ...options, output: path });
  }
  let { plan } = planned;
  let goneCount = 0;
  let wrong: unknown;
  await using output = await Output.create(path, options.overwrite ?? false);
  for (;;) {
    const { files, doubts } = plan;
    const last = files.at(-1);
    if (last === undefined) throw new Error('a restore plan holds at least one file');
    logger.debug('restore plan', { n: files.length, txid: formatTxid(last.maxTxid), timestamp: last.timestamp });
    for (const { level, minTxid, maxTxid } of files) {
      logger.debug('opening ltx file for restore', { level, min: formatTxid(minTxid), max: formatTxid(maxTxid) });
    }
    const plannedMs = performance.now();
    try {
      const written = await writePlan(client, files, output, options);
      const writtenMs = performance.now();
      const done = { bytes: inputSizeOf(files), pages: written.pagesWritten };
      const times = await finishOutput(output, options, done, () =>
        beforePublish({ file: last, header: written.header }),
      );
      return {
        output: path,
        txid: last.maxTxid,
        timestamp: last.timestamp,
        format: 'ltx',
        pageSize: written.pageSize,
        pageCount: written.pageCount,
        size: written.pageCount * written.pageSize,
        plan: files,
        inputSize: inputSizeOf(files),
        proven: written.isProven,
        timeDoubts: doubts,
        planDurationMs: plannedMs - startMs,
        writeDurationMs: writtenMs - plannedMs,
        ...times,
      };
    } catch (error) {
      // Retention or compaction removed a file after it was listed: now another chain reaches the target.
      if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'OBJECT_CHANGED')) {
        goneCount += 1;
        if (goneCount === PLAN_COUNT_MAX) throw error;
        logger.debug('planned file is gone, planning again', { attempt: goneCount, error: error.message });
        startMs = performance.now();
        plan = await planWithDoubts(client, options);
      } else {
        const older = options.olderBase === true ? await planFromOlderBase(client, plan, error, options) : undefined;
        // The error with the newest snapshot names the faulty file.
        wrong ??= error;
        if (older === undefined) throw wrong;
        logger.warn('restoring from an older snapshot', { error });
        startMs = performance.now();
        plan = older;
      }
      await output.truncate(0);
    }
  }
}

/**
 * The same state from the next older snapshot; undefined if the error is of another kind, or no such snapshot leads to
 * the target.
 */
async function planFromOlderBase(
  client: ReplicaClient,
  { files, doubts }: RestorePlan,
  error: unknown,
  { signal }: RestoreOptions,
): Promise<RestorePlan | undefined> {
  if (!hasCode(error, 'LTX_CORRUPT') && !hasCode(error, 'CHECKSUM_MISMATCH')) return undefined;
  const [base] = files;
  const txid = files.at(-1)?.maxTxid;
  if (base?.level !== SNAPSHOT_LEVEL || txid === undefined) return undefined;
  try {
    return { files: await planRestore(client, { txid, baseBefore: base.maxTxid, signal }), doubts };
  } catch (failure) {
    if (hasCode(failure, 'REPLICA_GAP') || hasCode(failure, 'TXID_OUT_OF_RANGE')) return undefined;
    throw failure;
  }
}

function onlyV3(): LitestreamError {
  return new LitestreamError('the newest backup on the replica is one of v0.3, which cannot be followed', {
    code: 'REPLICA_EMPTY',
    operation: 'restore',
    hint: 'Restore it without -f, and start replication of that database. Then follow the new replica.',
  });
}

type PlannedFormat =
  | { readonly format: 'ltx'; readonly plan: RestorePlan }
  | { readonly format: 'v0.3'; readonly plan: V3Plan };

/**
 * Plans from the format that Litestream (Go) would restore. Only LTX files have TXIDs. Both listings run in parallel.
 */
async function planFormat(client: ReplicaClient, options: RestoreOptions): Promise<PlannedFormat> {
  const { txid, timestamp, signal } = options;
  const [ltx, v3] = await Promise.allSettled([
    planWithDoubts(client, options),
    txid === undefined ? listV3(client, { signal }) : undefined,
  ]);
  // Invalid options are refused regardless of what the replica holds.
  if (ltx.status === 'rejected' && hasCode(ltx.reason, 'INVALID_ARGUMENT')) throw ltx.reason;
  if (v3.status === 'rejected') throw v3.reason;
  const context = { client, timestamp, signal, logger: options.logger ?? silentLogger };
  if (v3.value !== undefined && (await prefersV3(v3.value, context))) {
    return { format: 'v0.3', plan: planV3(v3.value, timestamp) };
  }
  if (ltx.status === 'rejected') throw ltx.reason;
  return { format: 'ltx', plan: ltx.value };
}

async function writePlan(
  client: ReplicaClient,
  plan: readonly LtxFileInfo[],
  output: Output,
  options: RestoreOptions,
): Promise<WrittenDatabase> {
  const bytesTotal = inputSizeOf(plan);
  await using spool = new Spool(output.temporaryPath);
  await using pool = await poolFor(bytesTotal, options.parallelism);
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
    proof: options.proof ?? 'checked',
    onMismatch: (error) => options.logger?.warn('restored database is not the one that was replicated', { error }),
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

async function poolFor(inputSize: number, parallelism: number | undefined): Promise<RangePool> {
  if (inputSize <= INLINE_INPUT_SIZE_MAX) return new InlinePool();
  return await WorkerPool.start(parallelism ?? Math.min(availableParallelism(), PARALLELISM_DEFAULT_MAX));
}

function inputSizeOf(plan: readonly LtxFileInfo[]): number {
  return plan.reduce((sum, file) => sum + file.size, 0);
}
