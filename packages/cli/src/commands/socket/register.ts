import { expandPath } from '../../config/paths.ts';
import { askDaemon } from '../../control/client.ts';
import type { RegisterResponse } from '../../control/protocol.ts';
import { UsageError } from '../../util/usage-error.ts';
import { word } from '../../flags/kinds.ts';
import { redact, registerUrlSecrets } from '../../util/secrets.ts';
import { defineCommand } from '../shared/command.ts';
import type { Command } from '../shared/command.ts';
import { printResult } from '../shared/result.ts';
import { checkTimeout, databaseArgument, socketFlags } from '../shared/socket-flags.ts';

const flags = {
  replica: { kind: word('URL', ''), help: 'Where to replicate to: s3://bucket/prefix, file:///backup/path. Required.' },
  ...socketFlags(30),
};

export const command: Command = defineCommand({
  name: 'register',
  help: {
    about:
      'Makes a running daemon replicate one more database, until the daemon exits or the database is unregistered.',
    usage: ['register [arguments] DB_PATH'],
    examples: [
      { about: 'Into a bucket.', line: 'register -replica s3://mybucket/db /path/to/db' },
      { about: 'Into a folder, for a script.', line: 'register -json -replica file:///backup/db /path/to/db' },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    const attempt = 'litestream register -replica s3://bucket/prefix /path/to/db';
    const path = databaseArgument(args, attempt);
    const { replica, socket, timeout } = values;
    if (replica === '') throw new UsageError('-replica is required', attempt);
    checkTimeout(timeout);
    registerUrlSecrets(replica);
    const answer = await askDaemon<RegisterResponse>({
      socket,
      name: 'register',
      path: '/register',
      body: { path: expandPath(path), replica_url: replica },
      timeoutSeconds: timeout,
    });
    const status = values.json ? answer.status : answer.status.replace('already_registered', 'already registered');
    printResult({ status, db_path: answer.path, replica: redact(replica), socket }, values.json, terminal);
    return 0;
  },
});
