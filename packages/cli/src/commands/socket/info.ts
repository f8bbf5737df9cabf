import { askDaemon } from '../../control/client.ts';
import { goJsonIndented } from '../../control/go-json.ts';
import type { InfoResponse } from '../../control/protocol.ts';
import { UsageError } from '../../util/usage-error.ts';
import { formatSeconds } from '../../text/time.ts';
import { formatDuration } from '../../units/duration.ts';
import { defineCommand } from '../shared/command.ts';
import type { Command } from '../shared/command.ts';
import { checkTimeout, socketFlags } from '../shared/socket-flags.ts';

export const command: Command = defineCommand({
  name: 'info',
  help: {
    about: 'Shows the version, process id, uptime and number of databases of a running daemon.',
    usage: ['info [arguments]'],
    examples: [
      { about: 'As text.', line: 'info' },
      { about: 'For a script, on another socket.', line: 'info -json -socket /tmp/litestream.sock' },
    ],
  },
  flags: socketFlags(10),
  async run({ values, args }, { terminal }) {
    if (args.length > 0) throw new UsageError('too many arguments', 'litestream info');
    checkTimeout(values.timeout);
    const { socket, timeout: timeoutSeconds } = values;
    const info = await askDaemon<InfoResponse>({ socket, name: 'info', path: '/info', timeoutSeconds });
    if (values.json) {
      terminal.out(goJsonIndented(info));
      return 0;
    }
    terminal.out(
      `Litestream ${info.version}\n` +
        `  PID:        ${info.pid}\n` +
        `  Uptime:     ${formatDuration(info.uptime_seconds * 1000)}\n` +
        `  Started at: ${formatSeconds(new Date(info.started_at))}\n` +
        `  Databases:  ${info.database_count}\n`,
    );
    return 0;
  },
});
