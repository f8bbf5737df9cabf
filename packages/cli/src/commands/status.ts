import { formatTxid } from '@litestream/ltx';
import { expandPath } from '../config/paths.ts';
import { UsageError } from '../errors.ts';
import { flag } from '../flags/kinds.ts';
import { defaultMetaPath, localTxid, sizeOf } from '../local-state.ts';
import type { SingleDatabase } from '../replicate/directory.ts';
import { formatTable } from '../text/table.ts';
import { formatSize } from '../units/size.ts';
import { defineCommand } from './command.ts';
import type { Command } from './command.ts';
import { configFlags, findDatabase, readConfig } from './config-flags.ts';

const flags = {
  config: configFlags.config,
  json: { kind: flag(), help: 'Prints JSON in place of a table.' },
  'no-expand-env': configFlags['no-expand-env'],
};

export const command: Command = defineCommand({
  name: 'status',
  help: {
    about:
      'Shows how far the databases of the config file are replicated locally: one of them, or all. It looks at files only, so it works whether a daemon runs or not.',
    usage: ['status [arguments] [DB_PATH]'],
    notes:
      'status is ok, not initialized (nothing was replicated yet), no database (there is none at the path) or error. local txid is the latest transaction in the local LTX files.',
    examples: [
      { about: 'All databases.', line: 'status' },
      { about: 'One of them, for a script.', line: 'status -json /path/to/db' },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    if (args.length > 1) throw new UsageError('too many arguments', 'litestream status /path/to/db');
    const config = await readConfig({ ...values, plugin: [] }, terminal);
    const { databasesOf } = await import('../replicate/directory.ts');
    let databases = config.databases.flatMap((database) => databasesOf(database));
    const [only] = args;
    if (only !== undefined) {
      const path = expandPath(only);
      const found = databases.find((database) => database.path === path);
      databases = [found ?? findDatabase(config, only)];
    }
    const rows = databases.map(statusOf);
    if (values.json) {
      terminal.out(`${JSON.stringify(rows, undefined, 2)}\n`);
      return 0;
    }
    const cells = rows.map((row) => [row.database, row.status, row.local_txid, row.wal_size]);
    terminal.out(formatTable([['database', 'status', 'local txid', 'wal size'], ...cells]));
    return 0;
  },
});

function statusOf({ path, metaPath }: SingleDatabase): {
  database: string;
  status: string;
  local_txid: string;
  wal_size: string;
} {
  const row = { database: path, status: 'no database', local_txid: '-', wal_size: '-' };
  try {
    if (sizeOf(path) === undefined) return row;
    row.wal_size = formatSize(sizeOf(`${path}-wal`) ?? 0);
    const txid = localTxid(metaPath ?? defaultMetaPath(path));
    row.status = txid === 0n ? 'not initialized' : 'ok';
    if (txid > 0n) row.local_txid = formatTxid(txid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    // Not readable for us: the table says so and goes on with the others.
    row.status = 'error';
  }
  return row;
}
