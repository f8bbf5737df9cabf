import { askDaemon } from '../../control/client.ts';
import { goJsonIndented } from '../../control/go-json.ts';
import type { ListResponse } from '../../control/protocol.ts';
import { UsageError } from '../../util/usage-error.ts';
import { formatSeconds } from '../../text/time.ts';
import { defineCommand } from '../shared/command.ts';
import type { Command } from '../shared/command.ts';
import { checkTimeout, socketFlags } from '../shared/socket-flags.ts';

export const command: Command = defineCommand({
  name: 'list',
  help: {
    about: 'Lists the databases of a running daemon, and when each was last fully replicated.',
    usage: ['list [arguments]'],
    notes: 'A database is replicating, open (monitored, but not uploaded) or stopped.',
    examples: [
      { about: 'As text.', line: 'list' },
      { about: 'For a script, on another socket.', line: 'list -json -socket /tmp/litestream.sock' },
    ],
  },
  flags: socketFlags(10),
  async run({ values, args }, { terminal }) {
    if (args.length > 0) throw new UsageError('too many arguments', 'litestream list');
    checkTimeout(values.timeout);
    const { socket, timeout: timeoutSeconds } = values;
    const list = await askDaemon<ListResponse>({ socket, name: 'list', path: '/list', timeoutSeconds });
    if (values.json) {
      terminal.out(goJsonIndented(list));
      return 0;
    }
    if (list.databases.length === 0) terminal.out('No databases configured\n');
    for (const { path, status, last_sync_at: time } of list.databases) {
      const lastSync = time === undefined ? 'never' : formatSeconds(new Date(time));
      terminal.out(`${path} [${status}] (last sync: ${lastSync})\n`);
    }
    return 0;
  },
});
