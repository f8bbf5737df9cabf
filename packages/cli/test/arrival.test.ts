/** Databases that appear at paths that `litestream replicate` waits for: what is there afterwards is what was put there. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { pause } from '../../../tests/support/wait.ts';
import { countRows, createDatabase } from './support/database.ts';
import { run, scratchFolder, start } from './support/cli.ts';

const ROWS = 5000;

function shell(command: string, environment: Record<string, string>): void {
  const { status, stderr } = spawnSync('sh', ['-c', command], {
    env: { ...process.env, ...environment },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
}

test('databases that are copied into place, or made there, are whole, and replicated', async () => {
  const folder = scratchFolder();
  const from = join(folder, 'from');
  const source = new DatabaseSync(from);
  source.exec(`CREATE TABLE t (x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ${ROWS})
    INSERT INTO t SELECT 'row ' || i FROM n`);
  source.close();
  const commands = [
    ...Array.from({ length: 6 }, () => 'cp "$FROM" "$TO"'),
    'cat "$FROM" > "$TO"',
    '(sleep 1.5; cat "$FROM") > "$TO"',
    '(head -c 20000 "$FROM"; sleep 1.5; tail -c +20001 "$FROM") > "$TO"',
    'install -m 600 "$FROM" "$TO"',
    'sqlite3 "$FROM" "VACUUM INTO \'$TO\'"',
    'sqlite3 "$FROM" ".backup $TO"',
  ];
  mkdirSync(join(folder, 'dbs'));
  const at = (index: number): string => join(folder, 'dbs', `db${index}.db`);
  const own = at(commands.length);
  const config = join(folder, 'litestream.yml');
  const entries = [...commands, 'own'].map(
    (_, index) => `  - path: ${at(index)}\n    replica: {path: ${folder}/rep${index}}\n`,
  );
  writeFileSync(config, `dbs:\n${entries.join('')}`);
  const daemon = start(['replicate', '-config', config]);
  await daemon.said(new RegExp(`msg="replicating to" .*path=${folder}/rep${commands.length}\n`));
  for (const [index, command] of commands.entries()) shell(command, { FROM: from, TO: at(index) });
  // Litestream needs the database for an instant, to put it into WAL mode.
  const app = new DatabaseSync(own, { timeout: 60_000 });
  app.exec('PRAGMA page_size = 8192');
  await pause(1200, 'an application that takes its time between two statements');
  app.exec("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (x)");
  for (let row = 0; row < ROWS / 100; row++) app.exec("INSERT INTO t SELECT 'row' FROM (VALUES (1)), (SELECT 1)");
  const { exitCode, stdout } = await daemon.stop();
  expect(stdout).not.toMatch(/level=ERROR/);
  expect(exitCode).toBe(0);
  for (const index of commands.keys()) {
    const output = join(folder, `restored${index}.db`);
    expect(await run(['restore', '-o', output, `file://${folder}/rep${index}`])).toMatchObject({ exitCode: 0 });
    expect([commands[index], countRows(at(index)), countRows(output)]).toEqual([commands[index], ROWS, ROWS]);
  }
  const settings = ['page_size', 'auto_vacuum', 'encoding'].map((name) =>
    Object.values(app.prepare(`PRAGMA ${name}`).get() ?? {}),
  );
  expect(settings).toEqual([[8192], [2], ['UTF-16le']]);
  app.close();
});

test('-once waits for the second that a database needs, and names what it does not replicate', async () => {
  const folder = scratchFolder();
  const path = join(folder, 'app.db');
  const once = (): ReturnType<typeof run> => run(['replicate', '-once', path, `file://${folder}/replica`]);
  writeFileSync(path, '');
  expect(await once()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('it is empty') });
  createDatabase(path, 3);
  expect((await once()).exitCode).toBe(0);
  const output = join(folder, 'restored.db');
  expect((await run(['restore', '-o', output, `file://${folder}/replica`])).exitCode).toBe(0);
  expect(countRows(output)).toBe(3);
});
