import { expandPath } from '../../config/paths.ts';
import { askDaemon } from '../../control/client.ts';
import type { SyncResponse } from '../../control/protocol.ts';
import { flag } from '../../flags/kinds.ts';
import { defineCommand } from '../shared/command.ts';
import type { Command } from '../shared/command.ts';
import { printResult } from '../shared/result.ts';
import { checkTimeout, databaseArgument, socketFlags } from '../shared/socket-flags.ts';

const flags = {
  wait: { kind: flag(), help: 'Waits until all commits are on the replicas, not only in the local files.' },
  ...socketFlags(30),
};

export const command: Command = defineCommand({
  name: 'sync',
  help: {
    about: 'Makes a running daemon sync a database now.',
    usage: ['sync [arguments] DB_PATH'],
    examples: [
      { about: 'To the local files; the daemon uploads them afterwards.', line: 'sync /path/to/db' },
      { about: 'To the replicas, within two minutes.', line: 'sync -wait -timeout 120 /path/to/db' },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    const path = databaseArgument(args, 'litestream sync /path/to/db');
    checkTimeout(values.timeout);
    const { socket, timeout, wait } = values;
    const startMs = performance.now();
    const answer = await askDaemon<SyncResponse>({
      socket,
      name: 'sync',
      path: '/sync',
      body: { path: expandPath(path), ...(wait ? { wait } : {}), timeout },
      timeoutSeconds: timeout,
    });
    const result = {
      db_path: answer.path,
      txid: answer.txid,
      replica_txid: wait ? answer.replicated_txid : undefined,
      duration_ms: Math.floor(performance.now() - startMs),
    };
    printResult(result, values.json, terminal);
    return 0;
  },
});
