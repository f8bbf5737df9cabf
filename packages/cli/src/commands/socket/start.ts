import { defineCommand } from '../shared/command.ts';
import type { Command } from '../shared/command.ts';
import { databaseArgument, socketFlags } from '../shared/socket-flags.ts';
import { changeState } from './start-stop.ts';

export const command: Command = defineCommand({
  name: 'start',
  help: {
    about: 'Makes a running daemon replicate a stopped database again.',
    usage: ['start [arguments] DB_PATH'],
    examples: [
      { about: 'After a stop.', line: 'start /path/to/db' },
      { about: 'For a script, on another socket.', line: 'start -json -socket /tmp/litestream.sock /path/to/db' },
    ],
  },
  flags: socketFlags(30),
  async run({ values, args }, { terminal }) {
    const path = databaseArgument(args, 'litestream start /path/to/db');
    await changeState({ name: 'start', state: 'running', path, values, terminal });
    return 0;
  },
});
