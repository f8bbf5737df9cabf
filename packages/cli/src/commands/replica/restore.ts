import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { Follower, LitestreamError, hasCode, isLitestreamError, planRestore, restore } from '@litestream/core';
import type { LogFields, Logger, LtxFileInfo, ReplicaClient, RestoreResult } from '@litestream/core';
import { formatTxid } from '@litestream/ltx';
import { goJsonIndented } from '../../control/go-json.ts';
import { isReplicaUrl } from '../../config/paths.ts';
import { UsageError } from '../../util/usage-error.ts';
import { duration, flag, integer, oneOf, text, timestamp, txid } from '../../flags/kinds.ts';
import type { FlagValues } from '../../flags/parse.ts';
import { plainLogger } from '../shared/configured-logger.ts';
import { Progress } from '../../terminal/progress.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import { fileRow } from '../../text/file-row.ts';
import { formatTableParts } from '../../text/table.ts';
import { formatSeconds } from '../../text/time.ts';
import { formatDuration } from '../../units/duration.ts';
import { formatSize } from '../../units/size.ts';
import { defineCommand } from '../shared/command.ts';
import type { Command } from '../shared/command.ts';
import { configFlags, oneArgument } from '../shared/config-flags.ts';
import { openTarget } from '../shared/target.ts';
import type { Target } from '../shared/target.ts';

const flags = {
  ...configFlags,
  o: { kind: text('PATH'), help: 'Writes the database here.\nDefaults to where it was, for a database of the config.' },
  txid: {
    kind: txid('TXID'),
    help: 'Restores the state after this transaction, 16 hex digits.\nDefaults to the latest.',
  },
  timestamp: {
    kind: timestamp('TIMESTAMP'),
    help: 'Restores the state at this time, RFC 3339.\nDefaults to the latest.',
  },
  'if-db-not-exists': { kind: flag(), help: 'Does nothing, and exits with 0, if the database exists.' },
  'if-replica-exists': { kind: flag(), help: 'Exits with 0 if the replica holds no backup.' },
  'dry-run': { kind: flag(), help: 'Prints the plan and writes nothing.' },
  force: { kind: flag(), help: 'Replaces an existing output and its SQLite side files, once the new one is whole.' },
  json: { kind: flag(), help: 'Prints a summary as JSON; logs go to standard error.' },
  f: {
    kind: flag(),
    help: 'Follows the replica: restores, then applies what is new, until it is stopped. Others may read the database all the time, but must not write to it. Goes on where it was, by the -txid file beside the database.',
  },
  'follow-interval': {
    kind: duration('DURATION', 1000),
    help: 'How often to look for changes with -f.\nDefaults to 1s.',
  },
  parallelism: {
    kind: integer('NUM', undefined, Number.NEGATIVE_INFINITY),
    help: 'Deprecated and without effect: accepted for compatibility with Litestream 0.3, and logs a warning.',
  },
  'integrity-check': {
    kind: oneOf('MODE', ['none', 'quick', 'full'], 'none'),
    help: 'Lets SQLite check the result before it is put in its place: none, quick, full.\nDefaults to none.',
  },
  'older-base': {
    kind: flag(),
    help: 'If a file is damaged, or the result is not the database that was replicated, makes the same state from an older snapshot and the files after it.',
  },
  proof: {
    kind: oneOf('MODE', ['checked', 'required', 'ignored'], 'checked'),
    help: 'How to check the database checksum that the last file states. checked: refuse a database with another checksum. required: also refuse a database whose last file states no checksum. ignored: warn about another checksum, and restore.\nDefaults to checked.',
  },
};
type Values = FlagValues<typeof flags>;

export const command: Command = defineCommand({
  name: 'restore',
  help: {
    about: 'Restores a database from its replica, as it is now or as it was.',
    usage: ['restore [arguments] DB_PATH', 'restore [arguments] REPLICA_URL'],
    examples: [
      { about: 'A database of the config, to where it was.', line: 'restore /path/to/db' },
      { about: 'As it was at a time.', line: 'restore -timestamp 2026-01-01T00:00:00Z /path/to/db' },
      { about: 'To another place, checked.', line: 'restore -integrity-check full -o /tmp/db /path/to/db' },
      { about: 'From a replica URL.', line: 'restore -o /tmp/db s3://mybucket/db' },
      { about: 'A read-only copy that is kept up to date.', line: 'restore -f -o /tmp/copy.db s3://mybucket/db' },
      { about: 'What would be fetched?', line: 'restore -dry-run -o /tmp/db s3://mybucket/db' },
    ],
  },
  flags,
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
async function whatThereIs(values: Values, terminal: Terminal): Promise<string | undefined> {
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

function checkFollow(values: Values): void {
  if (values.txid !== undefined) throw new UsageError('cannot use follow mode with -txid', 'litestream restore -h');
  if (values.timestamp !== undefined) {
    throw new UsageError('cannot use follow mode with -timestamp', 'litestream restore -h');
  }
  if (values['dry-run']) throw new UsageError('cannot use -dry-run with -f', 'litestream restore -h');
  if (values['older-base']) throw new UsageError('cannot use follow mode with -older-base', 'litestream restore -h');
  if (values.proof !== 'checked') throw new UsageError('cannot use follow mode with -proof', 'litestream restore -h');
}

/** Resolves when it is told to stop. */
async function followTo(
  output: string,
  { client, databasePath }: Target,
  values: Values,
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
  values: Values,
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
  }
}

/** A backup of v0.3 has no plan that could be shown, but it is there: that is not "no backups". */
async function planOf(client: ReplicaClient, values: Values, logger: Logger): Promise<readonly LtxFileInfo[]> {
  try {
    return await planRestore(client, { txid: values.txid || undefined, timestamp: values.timestamp, logger });
  } catch (error) {
    if (!hasCode(error, 'REPLICA_EMPTY') || values.txid !== undefined || !(await holdsV3(client))) throw error;
    throw new LitestreamError('no matching backup files available: the backup on the replica is one of v0.3', {
      code: 'UNSUPPORTED',
      operation: 'restore',
      hint: 'A dry run lists LTX files only: restore it without -dry-run.',
      cause: error,
    });
  }
}

async function holdsV3({ objects }: ReplicaClient): Promise<boolean> {
  try {
    const listing = objects?.list('generations/')[Symbol.asyncIterator]();
    const first = await listing?.next();
    await listing?.return?.();
    return first?.done === false;
  } catch (error) {
    if (!hasCode(error, 'UNSUPPORTED')) throw error;
    return false;
  }
}

async function printPlan(
  source: string,
  output: string,
  { client, text }: Target,
  values: Values,
  terminal: Terminal,
): Promise<void> {
  // The plan is all that goes to standard output.
  const files = await planOf(client, values, plainLogger(terminal, true));
  const first = formatTxid(files[0]?.minTxid ?? 0n);
  const last = formatTxid(files.at(-1)?.maxTxid ?? 0n);
  const shown = isReplicaUrl(source) ? text : source;
  if (values.json) {
    const plan = {
      source: shown,
      target_path: output,
      replica: client.type,
      min_txid: first,
      max_txid: last,
      files: files.map(fileRow),
    };
    terminal.out(goJsonIndented(plan));
    return;
  }
  terminal.out('Restore plan:\n');
  terminal.out(`  source: ${shown}\n  target: ${output}\n  replica: ${client.type}\n`);
  terminal.out(`  txid range: ${first} - ${last}\n\nFiles to fetch:\n`);
  for (const part of formatTableParts(() => planRows(files))) terminal.out(part);
}

function* planRows(files: readonly LtxFileInfo[]): Generator<(string | number)[]> {
  yield ['level', 'file', 'min_txid', 'max_txid', 'size', 'timestamp'];
  for (const file of files) yield Object.values(fileRow(file));
}
