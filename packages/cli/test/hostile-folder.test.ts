/** Files that the owner of one database puts beside it stop no other database, and lead Litestream to no other file. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, lchownSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { run, scratchFolder, start, until } from './support/cli.ts';
import { createDatabase, insertRows } from './support/database.ts';
import { hasFiles, ltxNames } from './support/replica.ts';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

test.skipIf(process.platform === 'win32')(
  'links that lead nowhere, and pipes in the place of files, before the start and while it runs',
  async () => {
    const folder = scratchFolder();
    const data = join(folder, 'data');
    mkdirSync(data);
    for (const name of ['good', 'shm', 'journal', 'wal', 'files']) createDatabase(join(data, `${name}.db`));
    symlinkSync('loop.db', join(data, 'loop.db'));
    symlinkSync('nothing.db', join(data, 'loose.db'));
    const pipe = (...path: string[]): unknown => execFileSync('mkfifo', [join(data, ...path)]);
    pipe('pipe.db');
    pipe('shm.db-shm');
    pipe('journal.db-journal');
    const config = join(folder, 'litestream.yml');
    const replica = join(folder, 'replica');
    writeFileSync(
      config,
      `dbs: [{dir: ${data}, pattern: '*.db', watch: true, replica: {path: ${replica}, sync-interval: 20ms}}]\n`,
    );
    const daemon = start(['replicate', '-config', config]);
    for (const name of ['good', 'wal', 'files']) {
      await until(() => hasFiles(join(replica, `${name}.db`)), `files of ${name}.db`);
    }
    // The writer has closed its connection: the log is ours alone.
    rmSync(join(data, 'wal.db-wal'));
    pipe('wal.db-wal');
    const local = join(data, '.files.db-litestream');
    for (const name of ltxNames(local)) {
      rmSync(join(local, 'ltx', '0', name));
      pipe('.files.db-litestream', 'ltx', '0', name);
    }
    insertRows(join(data, 'files.db'), 1);
    symlinkSync('late.db', join(data, 'late.db'));
    await daemon.said(/level=ERROR .*db=wal\.db/);
    const files = (): number => ltxNames(join(replica, 'good.db')).length;
    const before = files();
    insertRows(join(data, 'good.db'), 1);
    await until(() => files() > before, 'the next file of good.db');
    daemon.child.kill('SIGTERM');
    await daemon.said('signal received');
    // The second one ends the attempts to sync what cannot be synced.
    const { exitCode, stderr } = await daemon.stop();
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('Error: ')]);
  },
);

test.skipIf(!isRoot)('the link of another user to a database that is not theirs is refused', async () => {
  const folder = scratchFolder();
  const data = join(folder, 'data');
  const victim = join(folder, 'victim.db');
  mkdirSync(data);
  new DatabaseSync(victim).exec('CREATE TABLE t (x)');
  for (const name of ['by-them.db', 'by-root.db']) symlinkSync(victim, join(data, name));
  mkdirSync(join(folder, 'home'));
  symlinkSync(folder, join(folder, 'home', 'data'));
  for (const path of [join(data, 'by-them.db'), join(folder, 'home', 'data')]) lchownSync(path, NOBODY, NOBODY);
  for (const path of [join(data, 'by-them.db'), join(folder, 'home', 'data', 'victim.db')]) {
    const result = await run(['replicate', '-once', path, `file://${folder}/replica`]);
    expect({ path, exitCode: result.exitCode }).toEqual({ path, exitCode: 1 });
    expect(result.stdout + result.stderr).toContain('the link of another user leads to this database');
  }
  const database = new DatabaseSync(victim);
  expect(database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'delete' });
  expect(database.prepare('SELECT name FROM sqlite_schema').all()).toEqual([{ name: 't' }]);
  database.close();
});

test.skipIf(!isRoot)(
  'a folder below that its owner has closed is reported, and the others are replicated',
  async () => {
    const folder = scratchFolder();
    const data = join(folder, 'data');
    mkdirSync(join(data, 'closed'), { recursive: true });
    chmodSync(folder, 0o755);
    createDatabase(join(data, 'good.db'));
    chmodSync(join(data, 'closed'), 0);
    mkdirSync(join(folder, 'replica'));
    for (const path of [data, join(data, 'good.db'), join(folder, 'replica')]) chownSync(path, NOBODY, NOBODY);
    const config = join(folder, 'litestream.yml');
    writeFileSync(
      config,
      `dbs: [{dir: ${data}, pattern: '*.db', recursive: true, replica: {path: ${folder}/replica}}]\n`,
    );
    const { exitCode, stdout } = await run(['replicate', '-once', '-config', config], {
      uid: NOBODY,
      env: { HOME: '/' },
    });
    expect(stdout).toMatch(/level=WARN msg="cannot list directory.*closed/);
    expect(hasFiles(join(folder, 'replica', 'good.db'))).toBe(true);
    expect(exitCode).toBe(0);
  },
);
