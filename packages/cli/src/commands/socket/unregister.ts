import { expandPath } from '../../config/paths.ts';
import { askDaemon } from '../../control/client.ts';
import type { StateResponse } from '../../control/protocol.ts';
import { flag } from '../../flags/kinds.ts';
import { defineCommand } from '../shared/command.ts';
import type { Command } from '../shared/command.ts';
import { printResult } from '../shared/result.ts';
import { checkTimeout, databaseArgument, socketFlags } from '../shared/socket-flags.ts';

const flags = {
  'dry-run': { kind: flag(), help: 'Prints the request and does not send it.' },
  ...socketFlags(30),
};

export const command: Command = defineCommand({
  name: 'unregister',
  help: {
    about:
      'Removes a database from a running daemon, and waits for a last sync. The database, its local state and its replicas stay as they are.',
    usage: ['unregister [arguments] DB_PATH'],
    examples: [
      { about: 'What would be done?', line: 'unregister -dry-run /path/to/db' },
      { about: 'Do it, with ten seconds for the last sync.', line: 'unregister -timeout 10 /path/to/db' },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    const path = databaseArgument(args, 'litestream unregister /path/to/db');
    checkTimeout(values.timeout);
    const { socket, timeout } = values;
    if (values['dry-run']) {
      terminal.out(
        `Dry run: unregister request preview\n  database: ${path}\n  socket: ${socket}\n` +
          '  replicas: daemon-managed replica for this database\n' +
          '  final sync: daemon close will sync the database and replica before the command completes\n' +
          `  timeout: ${timeout}s\nNo unregister request was sent.\n`,
      );
      return 0;
    }
    const {
      status,
      path: db_path,
      txid,
    } = await askDaemon<StateResponse>({
      socket,
      name: 'unregister',
      path: '/unregister',
      body: { path: expandPath(path), timeout },
      timeoutSeconds: timeout,
    });
    printResult({ status, db_path, final_txid: txid, socket }, values.json, terminal);
    return 0;
  },
});
