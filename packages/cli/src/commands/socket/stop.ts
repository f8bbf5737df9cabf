import { defineCommand } from '../shared/command.ts';
import type { Command } from '../shared/command.ts';
import { databaseArgument, socketFlags } from '../shared/socket-flags.ts';
import { changeState } from './start-stop.ts';

export const command: Command = defineCommand({
  name: 'stop',
  help: {
    about: 'Stops the replication of one database of a running daemon, and waits for a last sync.',
    usage: ['stop [arguments] DB_PATH'],
    examples: [
      { about: 'Before maintenance of the database file.', line: 'stop /path/to/db' },
      { about: 'With ten seconds for the last sync.', line: 'stop -timeout 10 /path/to/db' },
    ],
  },
  flags: socketFlags(30),
  async run({ values, args }, { terminal }) {
    const path = databaseArgument(args, 'litestream stop /path/to/db');
    await changeState({ name: 'stop', state: 'stopped', path, values, terminal });
    return 0;
  },
});
