/** Databases that the config names by a symbolic link, with the command itself. */
import { existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { countRows, createDatabase, insertRows } from './support/database.ts';
import { run, scratchFolder, start, until } from './support/cli.ts';
import { hasFiles, ltxNames } from './support/replica.ts';

async function restoredRows(folder: string, replica: string): Promise<number> {
  const copy = join(folder, 'copies', `${Math.random()}.db`);
  const { exitCode, stderr } = await run(['restore', '-o', copy, `file://${replica}`]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return countRows(copy);
}

test('replicate, sync -wait and a link that leads elsewhere meanwhile', async () => {
  const folder = scratchFolder();
  const socket = join(folder, 's.sock');
  const link = join(folder, 'current.db');
  const replica = join(folder, 'replica');
  mkdirSync(join(folder, 'data'));
  createDatabase(join(folder, 'data', 'a.db'), 3);
  createDatabase(join(folder, 'data', 'b.db'), 5);
  symlinkSync('data/a.db', link);
  const config = join(folder, 'litestream.yml');
  writeFileSync(
    config,
    `socket: {enabled: true, path: ${socket}}\ndbs: [{path: ${link}, replica: {path: ${replica}, sync-interval: 10ms}}]\n`,
  );
  const daemon = start(['replicate', '-config', config]);
  await daemon.said('control socket listening');
  const sync = (): ReturnType<typeof run> => run(['sync', '-wait', '-socket', socket, link]);
  expect((await sync()).exitCode).toBe(0);
  const before = ltxNames(replica).length;
  insertRows(link, 1);
  await until(() => ltxNames(replica).length > before, 'the commit on the replica');
  expect(await restoredRows(folder, replica)).toBe(4);
  symlinkSync('data/b.db', `${link}.new`);
  renameSync(`${link}.new`, link);
  const refused = await sync();
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain(`the path of the database leads to another file than ${folder}/data/a.db: ${link}`);
  expect((await sync()).exitCode).toBe(0);
  const { exitCode, stdout } = await daemon.stop();
  expect(exitCode).toBe(0);
  expect(stdout).toContain('level=ERROR msg="database is another file now, reopening"');
  expect(await restoredRows(folder, replica)).toBe(5);
});

test('a link to nothing: restored to where it leads, then replicated', async () => {
  const folder = scratchFolder();
  const [link, replica] = [join(folder, 'current.db'), join(folder, 'replica')];
  const earlier = join(folder, 'earlier.db');
  createDatabase(earlier, 2);
  await run(['replicate', '-once', earlier, `file://${replica}`]);
  symlinkSync('data/real.db', link);
  const url = `file://${replica}`;
  const daemon = start(['replicate', '-restore-if-db-not-exists', link, url]);
  await daemon.said('msg="replicating to"');
  expect(countRows(join(folder, 'data', 'real.db'))).toBe(2);
  insertRows(link, 1);
  expect((await daemon.stop()).exitCode).toBe(0);
  expect(await restoredRows(folder, replica)).toBe(3);
});

test('a folder that is watched: links to databases elsewhere count, links to its own databases do not', async () => {
  const folder = scratchFolder();
  const [watched, data, replica] = [join(folder, 'watched'), join(folder, 'data'), join(folder, 'replica')];
  for (const each of [watched, data]) mkdirSync(each);
  createDatabase(join(data, 'far.db'), 2);
  createDatabase(join(watched, 'near.db'), 2);
  symlinkSync('../data/far.db', join(watched, 'linked.db'));
  symlinkSync('near.db', join(watched, 'also.db'));
  const config = join(folder, 'litestream.yml');
  const entry = `{dir: ${watched}, pattern: '*.db', watch: true, replica: {path: ${replica}, sync-interval: 10ms}}`;
  writeFileSync(config, `dbs: [${entry}]\n`);
  const daemon = start(['replicate', '-config', config]);
  await until(() => ['linked.db', 'near.db'].every((name) => hasFiles(join(replica, name))), 'both databases');
  const before = ltxNames(join(replica, 'linked.db')).length;
  insertRows(join(data, 'far.db'), 1);
  await until(() => ltxNames(join(replica, 'linked.db')).length > before, 'the commit on the replica');
  // Later, and leading to nothing at first.
  symlinkSync('../data/late.db', join(watched, 'late.db'));
  symlinkSync('near.db', join(watched, 'again.db'));
  createDatabase(join(data, 'late.db'), 4);
  await until(() => hasFiles(join(replica, 'late.db')), 'the late database');
  await daemon.said(
    `msg="link to a database that is already replicated, skipped" dir=${watched} path=${watched}/again.db`,
  );
  const { exitCode, stdout } = await daemon.stop();
  expect(exitCode).toBe(0);
  expect(stdout).not.toContain('level=ERROR');
  expect(existsSync(join(replica, 'also.db'))).toBe(false);
  expect(existsSync(join(replica, 'again.db'))).toBe(false);
  expect(await restoredRows(folder, join(replica, 'late.db'))).toBe(4);
  expect(await restoredRows(folder, join(replica, 'linked.db'))).toBe(3);
});

test('two names of one file in a config are refused', async () => {
  const folder = scratchFolder();
  const [link, real] = [join(folder, 'link.db'), join(folder, 'real.db')];
  createDatabase(real);
  symlinkSync(real, link);
  const config = join(folder, 'litestream.yml');
  const entry = (path: string, name: string): string => `  - {path: ${path}, replica: {path: ${folder}/${name}}}\n`;
  writeFileSync(config, `dbs:\n${entry(real, 'r1')}${entry(link, 'r2')}`);
  const { exitCode, stderr } = await run(['replicate', '-config', config]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`Error: databases ${real} and ${link} are the same file.`);
});
