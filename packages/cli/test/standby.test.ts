/** Two of the real command on one database: the second one stands by. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createDatabase } from './support/database.ts';
import { run, scratchFolder, start, until } from './support/cli.ts';

test('a second daemon stands by and takes over; reset and -once are refused meanwhile', async () => {
  const folder = scratchFolder();
  const database = join(folder, 'a.db');
  const replica = `file://${folder}/r`;
  createDatabase(database, 3);
  const first = start(['replicate', database, replica]);
  const local = join(folder, '.a.db-litestream', 'ltx', '0', '0000000000000001-0000000000000001.ltx');
  await until(() => statSync(local, { throwIfNoEntry: false }) !== undefined, 'the first local file');
  const { ino } = statSync(local);

  const second = start(['replicate', database, replica]);
  await second.said('msg="another litestream replicates this database, standing by"');
  expect(second.stdout).toMatch(new RegExp(`level=WARN .*standing by" .*pid=${first.child.pid} host=\\S+ since=\\S+`));

  const { exitCode, stderr } = await run(['reset', database]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`another Litestream replicates this database (pid ${first.child.pid} on `);
  const once = await run(['replicate', '-once', database, replica]);
  expect(once.exitCode).toBe(1);
  expect(once.stderr + once.stdout).toContain('another Litestream replicates this database');
  expect(statSync(local).ino).toBe(ino);

  await first.stop('SIGKILL');
  await second.said('msg="taking over from the other litestream"');
  expect(statSync(local).ino).toBe(ino);
  const third = start(['replicate', database, replica]);
  await third.said('standing by');
  expect((await third.stop()).exitCode).toBe(0);
  expect((await second.stop()).exitCode).toBe(0);
  expect(second.stdout).not.toContain('level=ERROR');
  expect((await run(['reset', database])).exitCode).toBe(0);
});
