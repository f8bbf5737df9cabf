import { defineCommand } from './command.ts';
import type { Command } from './command.ts';
import { formatTable } from '../text/table.ts';

export const command: Command = defineCommand({
  name: 'plugins',
  help: { about: 'Lists the storage clients that can be found.', usage: ['plugins'] },
  flags: {},
  async run(_, { terminal }) {
    terminal.out(formatTable([['type', 'package']]));
    return 0;
  },
});
