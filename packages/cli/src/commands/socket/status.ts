import { realDatabasePath } from '@litestream/core';
import { formatTxid } from '@litestream/ltx';
import { goJsonIndented } from '../../control/go-json.ts';
import { askDaemon } from '../../control/client.ts';
import type { DatabaseSummary, ListResponse } from '../../control/protocol.ts';
import { UsageError } from '../../util/usage-error.ts';
import { duration, flag, text } from '../../flags/kinds.ts';
import { defaultMetaPath, localTxid, sizeOf } from '../../util/local-state.ts';
import { allDatabasesOf, databaseOf } from '../../databases/directory.ts';
import type { SingleDatabase } from '../../databases/directory.ts';
import { formatTable } from '../../text/table.ts';
import { formatDuration } from '../../units/duration.ts';
import { formatSize } from '../../units/size.ts';
import { defineCommand } from '../shared/command.ts';
import type { Command } from '../shared/command.ts';
import { configFlags, findDatabase, readConfig } from '../shared/config-flags.ts';

const flags = {
  config: configFlags.config,
  'max-lag': {
    kind: duration('DURATION', undefined),
    help: 'Also asks the running daemon when each of its databases was last fully replicated. Exits with 1 if a database is not ok, or was not fully replicated within this time. Databases that were stopped by request do not count.',
  },
  socket: {
    kind: text('PATH'),
    help: 'The control socket of the daemon, for -max-lag.\nDefaults to that of the config file.',
  },
  json: { kind: flag(), help: 'Prints JSON in place of a table.' },
  'no-expand-env': configFlags['no-expand-env'],
};

export const command: Command = defineCommand({
  name: 'status',
  help: {
    about:
      'Shows the local replication state of one database of the config file, or of all. Without -max-lag it reads files only, so it needs no running daemon.',
    usage: ['status [arguments] [DB_PATH]'],
    notes:
      'status is ok, not initialized (nothing was replicated yet), no database (no file at the path) or error. local txid is the latest transaction in the local LTX files. With -max-lag, lag is the time since every replica was last known to have all commits. A database that was stopped by request has the status stopped and no lag. Databases that were registered over the socket are also listed.',
    examples: [
      { about: 'All databases.', line: 'status' },
      { about: 'One of them, for a script.', line: 'status -json /path/to/db' },
      { about: 'For cron or a probe: fails if a database lags.', line: 'status -max-lag 30s' },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    if (args.length > 1) throw new UsageError('too many arguments', 'litestream status /path/to/db');
    const config = await readConfig({ ...values, plugin: [] }, terminal);
    const [only] = args;
    const databases = only === undefined ? allDatabasesOf(config.databases) : [findDatabase(config, only)];
    const rows = databases.map(statusOf);
    const maxLagMs = values['max-lag'];
    if (maxLagMs === undefined) {
      terminal.out(values.json ? goJsonIndented(rows) : tableOf(rows.map(cellsOf)));
      return 0;
    }
    const daemon = await summaries(values.socket ?? config.socket.path);
    if (only === undefined) {
      // Databases that only the daemon knows: registered over the socket, or deleted from a folder of the config.
      const known = new Set(rows.map((row) => row.database));
      const others = [...daemon.keys()].filter((path) => !known.has(path));
      rows.push(...others.map((path) => statusOf(databaseOf(config.databases, path) ?? { path, metaPath: undefined })));
    }
    const problems: string[] = [];
    for (const row of rows) {
      const problem = addLag(row, daemon.get(row.database), maxLagMs);
      if (problem !== undefined) problems.push(`${row.database}: ${problem}`);
    }
    const cells = rows.map((row) => ({ ...cellsOf(row), lag: lagText(row.lag_seconds) }));
    terminal.out(values.json ? goJsonIndented(rows) : tableOf(cells));
    if (problems.length === 0) return 0;
    const limit = formatDuration(maxLagMs);
    terminal.err(`Error: not replicated within ${limit}: ${problems.join('; ')}`);
    terminal.err('Try: look for the cause in the log of the daemon, or on its status page');
    return 1;
  },
});

function tableOf(rows: readonly Readonly<Record<string, string>>[]): string {
  const [first] = rows;
  const names = Object.keys(first ?? cellsOf(NO_DATABASE));
  return formatTable([names, ...rows.map((row) => Object.values(row))]);
}

const cellsOf = (row: Row): Record<string, string> => ({
  database: row.database,
  status: row.status,
  'local txid': row.local_txid,
  'wal size': row.wal_size,
});

/** The databases of the daemon, by path. The daemon of Litestream (Go) answers this request, too. */
async function summaries(socket: string): Promise<ReadonlyMap<string, DatabaseSummary>> {
  const list = await askDaemon<ListResponse>({ socket, name: 'list', path: '/list', timeoutSeconds: 10 });
  return new Map(list.databases.map((database) => [database.path, database]));
}

/** Adds the lag to the row. Returns the problem of the database, if it has one. */
function addLag(row: Row, summary: DatabaseSummary | undefined, maxLagMs: number): string | undefined {
  if (summary?.status === 'stopped') {
    row.status = 'stopped';
    return undefined;
  }
  row.lag_seconds = null;
  if (summary === undefined) return 'unknown to the daemon';
  const { last_sync_at: time } = summary;
  const unwell = PROBLEMS[row.status];
  if (time === undefined) return unwell ?? 'never fully replicated';
  const lagMs = Math.max(0, Date.now() - new Date(time).getTime());
  row.lag_seconds = lagMs / 1000;
  if (unwell !== undefined) return unwell;
  return lagMs > maxLagMs ? `last replicated ${lagText(row.lag_seconds)} ago` : undefined;
}

const PROBLEMS: Readonly<Record<string, string>> = {
  'no database': 'there is no database file',
  'not initialized': 'nothing was replicated yet',
  error: 'its files cannot be read',
};

function lagText(seconds: number | null | undefined): string {
  if (seconds === undefined) return '-';
  return seconds === null ? 'never' : formatDuration(Math.round(seconds * 10) * 100);
}

interface Row {
  database: string;
  status: string;
  local_txid: string;
  wal_size: string;
  /** Seconds since the last full replication; null: never, or unknown. Missing: without `-max-lag`, or stopped. */
  lag_seconds?: number | null;
}

const NO_DATABASE: Row = { database: '', status: 'no database', local_txid: '-', wal_size: '-' };

function statusOf({ path, metaPath }: Pick<SingleDatabase, 'path' | 'metaPath'>): Row {
  const row = { ...NO_DATABASE, database: path };
  try {
    if (sizeOf(path) === undefined) return row;
    row.wal_size = formatSize(sizeOf(`${realDatabasePath(path)}-wal`) ?? 0);
    const txid = localTxid(metaPath ?? defaultMetaPath(path));
    row.status = txid === 0n ? 'not initialized' : 'ok';
    if (txid > 0n) row.local_txid = formatTxid(txid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    // Unreadable files are an error of this row; the other rows follow.
    row.status = 'error';
  }
  return row;
}
