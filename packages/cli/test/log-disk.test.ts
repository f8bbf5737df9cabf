import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { BIN, scratchFolder, until } from './support/cli.ts';
import { createDatabase } from './support/database.ts';
import { hasFiles } from './support/replica.ts';

test.skipIf(!existsSync('/dev/full'))('a log on a full disk loses its lines, and replication goes on', async () => {
  const folder = scratchFolder();
  createDatabase(join(folder, 'app.db'));
  const full = openSync('/dev/full', 'w');
  const args = [BIN, 'replicate', join(folder, 'app.db'), `file://${folder}/replica`];
  const child = spawn(process.execPath, args, { stdio: ['ignore', full, 'inherit'], env: {} });
  closeSync(full);
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = new Promise((resolve) => child.once('close', resolve));
  await until(() => hasFiles(join(folder, 'replica')) || child.exitCode !== null, 'a file on the replica');
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});
