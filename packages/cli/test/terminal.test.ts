/** Names and texts from others: a terminal executes nothing in them. */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { BIN, run, scratchFolder } from './support/cli.ts';
import { createDatabase } from './support/database.ts';

const TITLE = '\u001B]0;owned\u0007';

/** What the command prints on a terminal of its own. */
async function onTerminal(args: readonly string[]): Promise<string> {
  const line = [process.execPath, BIN, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  const shell = process.platform === 'darwin' ? ['-q', '/dev/null', 'sh', '-c', line] : ['-qec', line, '/dev/null'];
  return (await promisify(execFile)('script', shell)).stdout;
}

test('control sequences in the names of databases and lease holders do not reach a terminal', async () => {
  const folder = scratchFolder();
  const replica = join(folder, 'replica');
  mkdirSync(replica);
  const owner = `${TITLE}host:1`;
  writeFileSync(
    join(replica, 'lock.json'),
    JSON.stringify({ generation: 1, expires_at: '2026-11-01T12:00:00Z', owner }),
  );
  const lease = await run(['lease', `file://${replica}`]);
  expect(lease).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('?]0;owned?host:1') });
  const databases = join(folder, 'databases');
  mkdirSync(databases);
  createDatabase(join(databases, `a${TITLE}.db`));
  const config = join(folder, 'litestream.yml');
  writeFileSync(config, `dbs: [{dir: ${databases}, pattern: '*.db', replica: {path: ${replica}}}]\n`);
  const shown = await onTerminal(['databases', '-config', config]);
  expect(shown).toContain('a?]0;owned?.db');
  expect(shown).not.toContain(TITLE);
  // A script gets the name as it is.
  expect((await run(['databases', '-config', config])).stdout).toContain(`a${TITLE}.db`);
  const missing = await run(['ltx', '-config', config, join(folder, `b${TITLE}.db`)]);
  expect(missing.stderr).toContain('b?]0;owned?.db');
});
