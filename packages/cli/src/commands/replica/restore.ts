import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { Follower, LitestreamError, hasCode, isLitestreamError, restore } from '@litestream/core';
import type { LogFields, RestoreResult } from '@litestream/core';
import { formatTxid } from '@litestream/ltx';
import { goJsonIndented } from '../../control/go-json.ts';
import { isReplicaUrl } from '../../config/paths.ts';
import { UsageError } from '../../util/usage-error.ts';
import { plainLogger } from '../shared/configured-logger.ts';
import { Progress } from '../../terminal/progress.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import { formatSeconds } from '../../text/time.ts';
import { formatDuration } from '../../units/duration.ts';
import { formatWithOffset } from '../../units/point-in-time.ts';
import { formatSize } from '../../units/size.ts';
import { defineCommand } from '../shared/command.ts';
import type { Command } from '../shared/command.ts';
import { oneArgument } from '../shared/config-flags.ts';
import { openTarget } from '../shared/target.ts';
import type { Target } from '../shared/target.ts';
import { checkFollow, restoreFlags } from './restore-flags.ts';
import type { RestoreValues } from './restore-flags.ts';
import { printPlan } from './restore-plan.ts';

export const command: Command = defineCommand({
  name: 'restore',
  help: {
    about: 'Restores a database from its replica, as it is now or as it was.',
    usage: ['restore [arguments] DB_PATH', 'restore [arguments] REPLICA_URL'],
    examples: [
      { about: 'A database of the config, to where it was.', line: 'restore /path/to/db' },
      { about: 'As it was at a time.', line: 'restore -timestamp 2026-01-01T00:00:00Z /path/to/db' },
      { about: 'As it was yesterday.', line: 'restore -timestamp "yesterday 14:05" -o /tmp/db /path/to/db' },
      { about: 'To another place, checked.', line: 'restore -integrity-check full -o /tmp/db /path/to/db' },
      { about: 'From a replica URL.', line: 'restore -o /tmp/db s3://mybucket/db' },
      { about: 'A read-only copy that is kept up to date.', line: 'restore -f -o /tmp/copy.db s3://mybucket/db' },
      { about: 'What would be fetched?', line: 'restore -dry-run -o /tmp/db s3://mybucket/db' },
    ],
  },
  flags: restoreFlags,
  async run({ values, args, given }, { terminal }) {
    const attempt = 'litestream restore -o /path/to/db s3://bucket/prefix';
    const missing = 'database path or replica URL required';
    if (args.length === 0) throw new UsageError(missing, attempt, await whatThereIs(values, terminal));
    const target = oneArgument(args, missing, attempt);
    const logger = plainLogger(terminal, values.json);
    if (given.has('parallelism')) {
      logger.warn('-parallelism is deprecated and has no effect; accepted for compatibility only');
    }
    if (values.txid !== undefined && values.timestamp !== undefined) {
      throw new UsageError('cannot specify both -txid and -timestamp', 'litestream restore -h');
    }
    if (values.f) checkFollow(values);
    if (isReplicaUrl(target) && !values.o) {
      throw new UsageError(
        '-o is required when restoring from a replica URL',
        `litestream restore -o /path/to/db ${target}`,
      );
    }
    await using opened = await openTarget(target, values, terminal);
    const output = values.o ?? opened.databasePath ?? '';
    if (values['if-db-not-exists'] && existsSync(output)) {
      logger.info('database already exists, skipping');
      return 0;
    }
    tellTime(values, terminal);
    try {
      if (values.f) await followTo(output, opened, values, terminal);
      else if (values['dry-run']) await printPlan(target, output, opened, values, terminal);
      else await restoreTo(output, opened, values, terminal);
    } catch (error) {
      if (!hasCode(error, 'REPLICA_EMPTY') || !values['if-replica-exists'])
        throw withKnownStart(error, isReplicaUrl(target));
      logger.info('no matching backups found');
    }
    return 0;
  },
});

/** The list of databases that could be restored; a config that cannot be read has none, and is not what was asked about. */
async function whatThereIs(values: RestoreValues, terminal: Terminal): Promise<string | undefined> {
  try {
    const { restorable } = await import('./restorable.ts');
    return await restorable(values, terminal);
  } catch (error) {
    if (!isLitestreamError(error)) throw error;
    return `Could not list what there is: ${error.message}`;
  }
}

/** Scripts look for upstream's few words where nothing fits what was asked for; ours tell more, after them. */
function withKnownStart(error: unknown, isUrl: boolean): unknown {
  const codes = ['REPLICA_EMPTY', 'TXID_OUT_OF_RANGE', 'TIMESTAMP_OUT_OF_RANGE'] as const;
  if (!isLitestreamError(error) || !codes.some((code) => code === error.code)) return error;
  const { code, hint, message } = error;
  const start =
    isUrl && code === 'TIMESTAMP_OUT_OF_RANGE' ? 'timestamp does not exist' : 'no matching backup files available';
  return new LitestreamError(`${start}: ${message}`, { code, hint, cause: error });
}

/** Resolves when it is told to stop. */
async function followTo(
  output: string,
  { client, databasePath }: Target,
  values: RestoreValues,
  terminal: Terminal,
): Promise<void> {
  const logger = plainLogger(terminal, values.json).child({ ...databaseField(databasePath), replica: client.type });
  const progress = new Progress({ terminal, logger, name: 'restore' });
  using stop = stopSignal();
  try {
    await using follower = await Follower.open(client, {
      output,
      overwrite: values.force,
      intervalMs: values['follow-interval'],
      integrityCheck: values['integrity-check'],
      logger,
      signal: stop.signal,
      onProgress: ({ phase, bytesDone, bytesTotal }) => progress.update(phase, bytesDone, bytesTotal),
    });
    progress.clear();
    await follower.run(stop.signal);
  } catch (error) {
    progress.clear();
    if (error !== stop.signal.reason) throw error;
    logger.info('follow mode stopped');
  }
}

/** Lines about a database of the config name it; a replica URL has none. */
function databaseField(path: string | undefined): LogFields {
  return path === undefined ? {} : { db: basename(path) };
}

/** Aborted by the first SIGINT or SIGTERM; a second one ends the process at once. */
function stopSignal(): { readonly signal: AbortSignal } & Disposable {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  const names = ['SIGINT', 'SIGTERM'] as const;
  for (const name of names) process.once(name, onSignal);
  return {
    signal: stop.signal,
    [Symbol.dispose]() {
      for (const name of names) process.off(name, onSignal);
    },
  };
}

async function restoreTo(
  output: string,
  { client, databasePath }: Target,
  values: RestoreValues,
  terminal: Terminal,
): Promise<void> {
  const logger = plainLogger(terminal, values.json).child({ ...databaseField(databasePath), replica: client.type });
  const progress = new Progress({ terminal, logger, name: 'restore' });
  const startMs = performance.now();
  let result: RestoreResult;
  try {
    result = await restore(client, {
      output,
      overwrite: values.force,
      txid: values.txid || undefined,
      timestamp: values.timestamp,
      integrityCheck: values['integrity-check'],
      proof: values.proof,
      olderBase: values['older-base'],
      logger,
      onProgress: ({ phase, bytesDone, bytesTotal }) => progress.update(phase, bytesDone, bytesTotal),
    });
  } finally {
    progress.clear();
  }
  const durationMs = performance.now() - startMs;
  if (values.json) {
    const summary = {
      db_path: output,
      replica: client.type,
      txid: result.format === 'v0.3' ? '' : formatTxid(result.txid),
      timestamp: formatSeconds(result.timestamp),
      size: result.size,
      duration_ms: Math.floor(durationMs),
      integrity_check: values['integrity-check'],
      proven: result.proven,
    };
    terminal.out(goJsonIndented(summary));
  } else if (terminal.stderrIsTty) {
    const took = formatDuration(Math.round(durationMs));
    const state = `transaction ${formatTxid(result.txid)} of ${formatSeconds(result.timestamp)}`;
    const proof = result.proven ? 'proven by its database checksum' : 'unproven';
    terminal.err(`Restored ${output}: ${formatSize(result.size)} in ${took}, ${state}, ${proof}`);
  } else {
    const { proven, size, timestamp, txid } = result;
    logger.info('restored', { path: output, txid: formatTxid(txid), time: timestamp, size, proven });
  }
}

/** A time may be local or relative: prints the absolute time before the restore reads the replica. */
function tellTime(values: RestoreValues, terminal: Terminal): void {
  const { timestamp, json } = values;
  if (timestamp === undefined) return;
  const local = formatWithOffset(timestamp);
  if (terminal.stderrIsTty) {
    terminal.err(`The state at ${local} (${formatSeconds(timestamp)}):`);
    return;
  }
  const logger = plainLogger(terminal, json || values['dry-run']);
  logger.info('restoring to a point in time', { timestamp, local_time: local });
}
