/** A restore to a time from a replica whose times cannot be right. */
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createDatabase, insertRows } from './support/database.ts';
import { run, scratchFolder } from './support/cli.ts';

test('restore -timestamp names files that are stamped in the future, and what it chose', async () => {
  const folder = scratchFolder();
  const path = join(folder, 'app.db');
  createDatabase(path, 1);
  const once = (): ReturnType<typeof run> => run(['replicate', '-once', path, `file://${folder}/replica`]);
  expect((await once()).exitCode).toBe(0);
  insertRows(path, 1);
  expect((await once()).exitCode).toBe(0);
  const name = '0000000000000002-0000000000000002.ltx';
  const ahead = new Date(Date.now() + 3_600_000);
  utimesSync(join(folder, 'replica', 'ltx', '0', name), ahead, ahead);
  const restore = ['restore', '-timestamp', new Date().toISOString(), '-o', join(folder, 'restored.db')];
  const { exitCode, stdout } = await run([...restore, `file://${folder}/replica`]);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/level=WARN msg="the next files are stamped in the future/);
  expect(stdout).toContain(name);
  expect(stdout).toContain('chosen_txid=0000000000000001');
});
