import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError } from '@litestream/cli/kit';
import { LitestreamError, hasCode, isLitestreamError, planRestore, restore } from '@litestream/core';
import type { Logger, ReplicaClient, RestoreProgress, RestoreResult } from '@litestream/core';
import { requireDatabase } from '../util/sqlite.ts';
import { continuity, integrity, sameContent, sameRowCounts } from './checks.ts';
import type { Finding } from './checks.ts';

export const CHECK_TYPES = ['quick', 'integrity', 'checksum', 'full'] as const;
export type CheckType = (typeof CHECK_TYPES)[number];
type CheckName = CheckResult['name'];

export interface ValidateOptions {
  readonly sourcePath: string;
  /** The client of the replica, initialised or not. */
  readonly client: ReplicaClient;
  /** Path to restore to. An existing file is replaced, and the result is kept. */
  readonly restoredPath: string;
  /** `quick` and `integrity`: SQLite's checks. `checksum`: every row equals the source's. `full`: all of it, and row counts. */
  readonly checkType: CheckType;
  /** Check that each level of the replica is a chain without gaps; with `full`, also that no file is damaged. */
  readonly ltxContinuity: boolean;
  /** How long to wait for a replica that is behind its database. Default 0. */
  readonly waitMs?: number | undefined;
  readonly logger?: Logger | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined;
  /** Called when a check begins. */
  readonly onCheck?: ((name: CheckName) => void) | undefined;
  /** Called when a check ends. A failed check is repeated while there is time to wait. */
  readonly onResult?: ((result: CheckResult) => void) | undefined;
}

export interface CheckResult {
  readonly name: 'ltx_continuity' | 'restore' | 'quick_check' | 'integrity_check' | 'checksum' | 'data_validation';
  readonly passed: boolean;
  readonly durationMs: number;
  readonly error?: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface ValidateResult {
  readonly passed: boolean;
  readonly checks: readonly CheckResult[];
  readonly restored: RestoreResult | undefined;
}

const POLL_INTERVAL_MS = 200;

/**
 * Restores a replica and checks the result against its database. Faults of the replica are part of the result. Rejects only if
 * the check itself is not possible: `DATABASE_MISSING`, `INVALID_ARGUMENT`, or the signal's reason.
 *
 * Comparisons (`checksum`, `full`) need a source without writers: they use its current state.
 */
export async function validate(options: ValidateOptions): Promise<ValidateResult> {
  requireDatabase(options.sourcePath);
  refuseSameFile(options.sourcePath, options.restoredPath);
  const deadlineMs = performance.now() + (options.waitMs ?? 0);
  await options.client.init({ signal: options.signal });
  for (;;) {
    const result = await attempt(options);
    if (result.passed || !(await newer(options, result.restored, deadlineMs))) return result;
    options.logger?.info('replica has moved on, validating again');
  }
}

async function attempt(options: ValidateOptions): Promise<ValidateResult> {
  const { sourcePath, restoredPath, client, checkType, signal } = options;
  const checks: CheckResult[] = [];
  const run = async (name: CheckName, find: () => Finding | Promise<Finding>): Promise<boolean> => {
    options.onCheck?.(name);
    const result = await checked(name, find, signal);
    options.onResult?.(result);
    checks.push(result);
    return result.passed;
  };
  if (options.ltxContinuity) await run('ltx_continuity', () => continuity(client, checkType === 'full', signal));
  let restored: RestoreResult | undefined;
  const isRestored = await run('restore', async () => {
    const { onProgress, logger } = options;
    restored = await restore(client, { output: restoredPath, overwrite: true, signal, onProgress, logger });
    return { details: { restored_path: restored.output, restored_size: restored.size } };
  });
  const wanted: readonly CheckType[] = checkType === 'full' ? CHECK_TYPES : [checkType];
  if (isRestored && wanted.includes('quick')) await run('quick_check', () => integrity(restoredPath, 'quick_check'));
  if (isRestored && wanted.includes('integrity')) {
    await run('integrity_check', () => integrity(restoredPath, 'integrity_check'));
  }
  if (isRestored && wanted.includes('checksum')) await run('checksum', () => sameContent(sourcePath, restoredPath));
  if (isRestored && checkType === 'full') {
    await run('data_validation', () => sameRowCounts(sourcePath, restoredPath));
  }
  return { passed: checks.every(({ passed }) => passed), checks, restored };
}

/** A check that throws has failed: this program has to find a replica that cannot be read. */
async function checked(
  name: CheckName,
  find: () => Finding | Promise<Finding>,
  signal: AbortSignal | undefined,
): Promise<CheckResult> {
  const startMs = performance.now();
  let finding: Finding;
  try {
    finding = await find();
  } catch (error) {
    signal?.throwIfAborted();
    const code = isLitestreamError(error) ? { code: error.code } : {};
    finding = { error: describeError(error), details: code };
  }
  const { error, details } = finding;
  return { name, passed: error === undefined, durationMs: performance.now() - startMs, error, details };
}

/** Waits until the replica is ahead of the restored database; false if the time ends before. */
async function newer(
  { client, signal }: ValidateOptions,
  restored: RestoreResult | undefined,
  deadlineMs: number,
): Promise<boolean> {
  while (performance.now() < deadlineMs) {
    await sleep(POLL_INTERVAL_MS, undefined, signal === undefined ? {} : { signal });
    try {
      const plan = await planRestore(client, { signal });
      if ((plan.at(-1)?.maxTxid ?? 0n) > (restored?.txid ?? 0n)) return true;
    } catch (error) {
      // The replica is still empty, or has a gap that an upload is about to fill.
      if (!hasCode(error, 'REPLICA_EMPTY') && !hasCode(error, 'REPLICA_GAP')) throw error;
    }
  }
  return false;
}

/** The restored database replaces the file at its path, which must not be the source. */
function refuseSameFile(sourcePath: string, restoredPath: string): void {
  if (restoredPath === '') throw invalid('restored database path required');
  const source = statSync(sourcePath);
  const restored = statSync(restoredPath, { throwIfNoEntry: false });
  const isSame = restored !== undefined && restored.ino === source.ino && restored.dev === source.dev;
  const sides = ['-wal', '-shm', '-journal'].map((suffix) => realpathSync(sourcePath) + suffix);
  if (isSame || sides.includes(realPath(restoredPath))) {
    throw invalid(`restored database ${restoredPath} would replace the source`);
  }
}

function realPath(path: string): string {
  const folder = dirname(resolve(path));
  return statSync(folder, { throwIfNoEntry: false }) === undefined
    ? resolve(path)
    : join(realpathSync(folder), basename(path));
}

function invalid(message: string): LitestreamError {
  const hint = 'Choose another path with -restored-db.';
  return new LitestreamError(message, { code: 'INVALID_ARGUMENT', operation: 'validate', hint });
}
