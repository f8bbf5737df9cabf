import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { countRows, createDatabase, insertRows } from './support/database.ts';
import { nameFilter } from '../src/databases/scan.ts';
import { run, scratchFolder, start, until } from './support/cli.ts';
import type { Cli } from './support/cli.ts';
import { hasFiles, ltxNames } from './support/replica.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

interface Setup {
  readonly folder: string;
  readonly databases: string;
  readonly replica: string;
  readonly config: string;
}

function setup(keys = ''): Setup {
  const folder = scratchFolder();
  const at = {
    folder,
    databases: join(folder, 'databases'),
    replica: join(folder, 'replica'),
    config: join(folder, 'litestream.yml'),
  };
  mkdirSync(at.databases);
  writeFileSync(
    at.config,
    `dbs:\n  - {dir: ${at.databases}, pattern: "*.db", watch: true, ${keys} replica: {path: ${at.replica}}}\n`,
  );
  return at;
}

async function daemonOf(at: Setup): Promise<Cli> {
  const daemon = start(['replicate', '-config', at.config]);
  await daemon.said('msg="starting L0 retention monitor"');
  return daemon;
}

function replicaOf(at: Setup, name: string): string {
  return join(at.replica, name);
}

/** Names below the replica folder that are replicas. */
function replicated(at: Setup, folder = at.replica): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) return [];
    return hasFiles(path) ? [relative(at.replica, path)] : replicated(at, path);
  });
}

function create(at: Setup, name: string, rows = 1): string {
  const path = join(at.databases, name);
  mkdirSync(dirname(path), { recursive: true });
  createDatabase(path, rows);
  return path;
}

async function restoredRows(at: Setup, name: string): Promise<number> {
  const output = join(at.folder, `restored-${Math.random().toString(36).slice(2)}.db`);
  expect(await run(['restore', '-o', output, `file://${replicaOf(at, name)}`])).toMatchObject({ exitCode: 0 });
  return countRows(output);
}

const troubles = (daemon: Cli): string[] => daemon.stdout.split('\n').filter((line) => /level=(ERROR|WARN)/.test(line));

describe('a watched folder', () => {
  test('new, nested and many databases at once; others are left alone', async () => {
    const at = setup('recursive: true,');
    create(at, 'first.db', 3);
    const daemon = await daemonOf(at);
    expect(daemon.stdout).toContain(`msg="found databases in directory" dir=${at.databases} count=1 watch=true`);

    writeFileSync(join(at.databases, 'empty.db'), '');
    writeFileSync(join(at.databases, 'text.db'), 'this is no database'.repeat(100));
    writeFileSync(join(at.databases, 'binary.db'), Buffer.alloc(8192, 0xa7));
    createDatabase(join(at.databases, 'app.db.bak'));
    createDatabase(join(at.databases, 'app.sqlite'));
    const names = Array.from({ length: 20 }, (_, index) => `many-${index}.db`);
    for (const name of names) create(at, name);
    create(at, 'tenants/a/app.db');
    const wanted = ['first.db', 'tenants/a/app.db', ...names].sort();
    await until(() => replicated(at).length >= wanted.length, 'all databases on the replica');
    expect(replicated(at).sort()).toEqual(wanted);

    // A file becomes a database long after it was made.
    rmSync(join(at.databases, 'empty.db'));
    writeFileSync(join(at.databases, 'empty.db'), '');
    createDatabase(join(at.databases, 'empty.db'), 4);
    await until(() => replicated(at).includes('empty.db'), 'the file that became a database');
    insertRows(join(at.databases, 'tenants/a/app.db'), 5);

    expect((await daemon.stop()).exitCode).toBe(0);
    expect(troubles(daemon)).toEqual([]);
    const lines = daemon.stdout.split('\n').filter((line) => line.includes('msg="added database to replication"'));
    expect(lines).toHaveLength(22);
    expect(lines[0]).toMatch(new RegExp(`dir=${at.databases} path=${at.databases}/`));
    const meta = readdirSync(at.databases).filter((name) => name.endsWith('-litestream'));
    expect(meta.sort()).toEqual(['empty.db', 'first.db', ...names].map((name) => `.${name}-litestream`).sort());
    expect(await restoredRows(at, 'tenants/a/app.db')).toBe(6);
    expect(await restoredRows(at, 'empty.db')).toBe(4);
  });

  test('removed and renamed databases are no longer replicated; what was written last is sent', async () => {
    const at = setup('recursive: true,');
    const a = create(at, 'a.db', 2);
    const b = create(at, 'b.db', 2);
    create(at, 'tenant/c.db', 2);
    const daemon = await daemonOf(at);
    // Their snapshots, too: one that is under way when its database goes is an error in the log.
    const isAtRest = (name: string): boolean => ltxNames(replicaOf(at, name), 9).length > 0;
    await until(() => replicated(at).filter(isAtRest).length === 3, 'all databases on the replica');

    const renamed = join(at.databases, 'renamed.db');
    // In one step: a WAL that is missing beside its database is an error in the log.
    await daemon.asOneStep(() => {
      for (const suffix of ['', '-wal', '-shm']) rmSync(a + suffix, { force: true });
      removeFolder(join(at.databases, 'tenant'));
      // As an application that is stopped for it leaves its files: the WAL goes with the database.
      for (const suffix of ['-wal', '']) if (existsSync(b + suffix)) renameSync(b + suffix, renamed + suffix);
    });
    for (const path of [a, b, join(at.databases, 'tenant/c.db')]) {
      await daemon.said(`msg="removed database from replication" dir=${at.databases} path=${path}\n`);
    }
    await daemon.said(`msg="added database to replication" dir=${at.databases} path=${renamed}\n`);
    insertRows(renamed, 7);

    // The name is free for another database, which goes on behind what the replica has.
    createDatabase(a, 11);
    await daemon.said(`msg="added database to replication" dir=${at.databases} path=${a}\n`);
    expect((await daemon.stop()).exitCode).toBe(0);
    expect(daemon.stdout).not.toContain('level=ERROR');
    expect(await restoredRows(at, 'b.db')).toBe(2);
    expect(await restoredRows(at, 'renamed.db')).toBe(9);
    expect(await restoredRows(at, 'tenant/c.db')).toBe(2);
    expect(await restoredRows(at, 'a.db')).toBe(11);
  });

  test('open connections, writes during the scan, and a restart', async () => {
    const at = setup('meta-path: META,'.replace('META', join(scratchFolder(), 'meta')));
    const path = create(at, 'a.db');
    const app = new DatabaseSync(path);
    app.exec('PRAGMA busy_timeout = 60000');
    const daemon = await daemonOf(at);
    await until(() => hasFiles(replicaOf(at, 'a.db')), 'the first file');
    const inode = statSync(`${path}-shm`).ino;
    for (let row = 0; row < 50; row += 1) app.exec(`INSERT INTO t VALUES ('row ${row}')`);
    create(at, 'b.db', 3);
    await until(() => hasFiles(replicaOf(at, 'b.db')), 'the second database');
    expect(statSync(`${path}-shm`).ino).toBe(inode);
    expect((await daemon.stop()).exitCode).toBe(0);
    expect(troubles(daemon)).toEqual([]);
    expect(readdirSync(at.databases).filter((name) => name.includes('litestream'))).toEqual([]);
    app.exec('INSERT INTO t VALUES (1)');

    create(at, 'c.db', 4);
    const again = await daemonOf(at);
    expect(again.stdout).toContain('count=3 watch=true');
    create(at, 'd.db', 5);
    await again.said(`msg="added database to replication" dir=${at.databases} path=${at.databases}/d.db\n`);
    expect((await again.stop()).exitCode).toBe(0);
    expect(troubles(again)).toEqual([]);
    app.close();
    expect(await Promise.all(['a.db', 'b.db', 'c.db', 'd.db'].map((name) => restoredRows(at, name)))).toEqual([
      52, 3, 4, 5,
    ]);
  });
});

describe('names in a watched folder', () => {
  const isWanted = (pattern: string, name: string): boolean =>
    nameFilter({ path: '/data', pattern, recursive: false, watch: true, metaDir: undefined })(name);

  test.each([
    ['*', 'app.sqlite-wal', false],
    ['*', 'app.sqlite-shm', false],
    ['*', 'app.sqlite-journal', false],
    ['*', 'app.db-wal', false],
    ['*-wal', 'app.db-wal', false],
    ['*', 'app.db', true],
    ['*', 'app.sqlite', true],
    ['*', 'app.sqlite3', true],
    ['*', 'data.dat', true],
    ['*', 'withdrawal', true],
    ['*', 'rhythm', true],
    ['*', 'myjournal', true],
    ['*', 'app.db.bak', false],
    ['*.bak', 'app.db.bak', true],
    ['*.db', 'app.db.backup', false],
    ['*.db', 'app.sqlite', false],
    ['*.sqlite', 'app.db', false],
    ['app_*.db', 'app_users.db', true],
    ['app_*.db', 'users.db', false],
  ])('%s takes %s: %s', (pattern, name, wanted) => {
    expect(isWanted(pattern, name)).toBe(wanted);
  });

  test('one name in several folders: places of their own, here and on the replica, found again after a restart', async () => {
    const meta = join(scratchFolder(), 'meta');
    const at = setup(`recursive: true, meta-dir: ${meta},`);
    const names = ['app.db', 'a/app.db', 'b/app.db', 'b/c/app.db'];
    const daemon = await daemonOf(at);
    // Also in folders that are made while it runs.
    for (const [index, name] of names.entries()) create(at, name, index + 1);
    await until(() => replicated(at).length === names.length, 'all databases on the replica');
    expect((await daemon.stop()).exitCode).toBe(0);
    expect(troubles(daemon)).toEqual([]);
    for (const name of names) expect(existsSync(join(meta, `${name}-litestream`, 'ltx/0'))).toBe(true);

    const again = await daemonOf(at);
    expect(again.stdout).toContain(`count=${names.length} watch=true`);
    for (const name of names) insertRows(join(at.databases, name), 1);
    expect((await again.stop()).exitCode).toBe(0);
    expect(troubles(again)).toEqual([]);
    expect(await Promise.all(names.map((name) => restoredRows(at, name)))).toEqual([2, 3, 4, 5]);
  });

  test('without `recursive`, folders below are left alone', async () => {
    const at = setup();
    const daemon = await daemonOf(at);
    create(at, 'below/app.db');
    create(at, 'app.db');
    await until(() => replicated(at).length > 0, 'the database of the folder itself');
    expect((await daemon.stop()).exitCode).toBe(0);
    expect(replicated(at)).toEqual(['app.db']);
    expect(existsSync(join(at.databases, 'below/.app.db-litestream'))).toBe(false);
  });
});

describe('places that two databases would share', () => {
  const failing = async (yaml: string): Promise<string> => {
    const config = join(scratchFolder(), 'litestream.yml');
    writeFileSync(config, yaml);
    const { exitCode, stderr } = await run(['replicate', '-config', config]);
    expect(exitCode).toBe(1);
    return stderr;
  };

  test('the same database twice, the same local files, the same replica', async () => {
    const folder = scratchFolder();
    const entry = (name: string, replica: string, more = ''): string =>
      `  - {path: ${folder}/${name}, replica: {path: ${folder}/${replica}}${more}}\n`;
    expect(await failing(`dbs:\n${entry('a.db', 'r1')}${entry('a.db', 'r2')}`)).toBe(
      `Error: database ${folder}/a.db is configured twice. Give it several replicas with \`replicas:\`.\n`,
    );
    const meta = `, meta-path: ${folder}/m`;
    expect(await failing(`dbs:\n${entry('a.db', 'r1', meta)}${entry('b.db', 'r2', meta)}`)).toMatch(
      /^Error: databases \S+a\.db and \S+b\.db would share the folder of local files \S+m\. /,
    );
    expect(await failing(`dbs:\n${entry('a.db', 'r')}${entry('b.db', 'r')}`)).toMatch(
      /^Error: databases \S+a\.db and \S+b\.db would share a replica \(type file, path \S+\/r\)\. /,
    );
  });

  test('a database of a folder that is configured by itself too is configured by itself', async () => {
    const at = setup();
    const path = create(at, 'a.db');
    create(at, 'b.db');
    writeFileSync(
      at.config,
      `dbs:\n  - {dir: ${at.databases}, pattern: "*.db", replica: {path: ${at.replica}}}\n  - {path: ${path}, replica: {path: ${at.folder}/own}}\n`,
    );
    expect((await run(['replicate', '-once', '-config', at.config])).exitCode).toBe(0);
    expect(replicated(at)).toEqual(['b.db']);
    expect(existsSync(join(at.folder, 'own/ltx/0'))).toBe(true);
  });
});

describe('a database of a folder, by its path', () => {
  test('is restored, listed, copied, shown and reset, even when its file is lost', async () => {
    const folder = scratchFolder();
    const databases = join(folder, 'multi');
    const nested = join(databases, 'below', 't2.db');
    mkdirSync(dirname(nested), { recursive: true });
    createDatabase(nested, 3);
    const config = join(folder, 'litestream.yml');
    const keys = `pattern: "*.db", recursive: true, meta-dir: ${folder}/meta, replica: {path: ${folder}/replica}`;
    writeFileSync(
      config,
      `dbs: [{path: ${folder}/one.db, replica: {path: ${folder}/r1}}, {dir: ${databases}, ${keys}}]\n`,
    );
    createDatabase(join(folder, 'one.db'), 1);
    expect((await run(['replicate', '-once', '-config', config])).exitCode).toBe(0);
    const dry = await run(['reset', '-dry-run', '-config', config, nested]);
    expect(dry.stdout).toContain(`  ${folder}/meta/below/t2.db-litestream/ltx/0/`);
    rmSync(nested);

    const restored = join(folder, 'z.db');
    expect(await run(['restore', '-config', config, '-o', restored, nested])).toMatchObject({
      exitCode: 0,
      stderr: '',
    });
    expect(countRows(restored)).toBe(3);
    expect((await run(['ltx', '-config', config, nested])).stdout).toContain('0000000000000001');
    const copied = await run(['copy', '-config', config, nested, `file://${folder}/copied`]);
    expect(copied).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('Copied 1 file') });
    expect((await run(['status', '-config', config, nested])).stdout).toMatch(/t2\.db +no database/);

    for (const stranger of ['x.txt', 'x.db-wal', '.a.db-litestream/x.db', '../x.db', '.']) {
      const { exitCode, stderr } = await run(['ltx', '-config', config, join(databases, stranger)]);
      expect({ exitCode, stderr }).toEqual({
        exitCode: 1,
        stderr: `Error: database not found in config: ${join(databases, stranger)}. The config has ${folder}/one.db, *.db in and below ${databases}.\n`,
      });
    }
    writeFileSync(config, `dbs: [{dir: ${databases}, pattern: "*.db", replica: {path: ${folder}/replica}}]\n`);
    expect((await run(['ltx', '-config', config, nested])).stderr).toContain(`The config has *.db in ${databases}.`);
  });
});
