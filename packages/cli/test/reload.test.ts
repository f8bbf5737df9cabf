import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeRemovable, takeAway } from '../../../tests/support/removable.ts';
import { countRows, createDatabase, insertRows } from './support/database.ts';
import { run, scratchFolder, start, until } from './support/cli.ts';
import type { Cli, Result } from './support/cli.ts';
import { hasFiles } from './support/replica.ts';

interface Place {
  readonly folder: string;
  readonly config: string;
  readonly database: (name: string) => string;
  readonly replica: (name: string) => string;
}

function place(): Place {
  const folder = scratchFolder();
  return {
    folder,
    config: join(folder, 'litestream.yml'),
    database: (name) => join(folder, `${name}.db`),
    replica: (name) => join(folder, 'replicas', name),
  };
}

/** Writes a config with these databases, some with keys of their own. */
function configure(at: Place, databases: readonly (string | { name: string; keys: string })[], more = ''): void {
  const lines = databases.map((each) => {
    const { name, keys } = typeof each === 'string' ? { name: each, keys: '' } : each;
    return `  - {path: ${at.database(name)}, ${keys} replica: {path: ${at.replica(name)}, sync-interval: 20ms}}`;
  });
  writeFileSync(at.config, `${more}dbs:\n${lines.join('\n')}\n`);
}

async function daemonOf(at: Place): Promise<Cli> {
  const daemon = start(['replicate', '-config', at.config]);
  await daemon.said('msg="replicating to"');
  return daemon;
}

/** Resolves once as many reloads as this were done. */
async function reload(daemon: Cli, count = 1): Promise<void> {
  daemon.child.kill('SIGHUP');
  await until(() => daemon.stdout.split('msg="config reloaded"').length - 1 >= count, `reload ${count}`);
}

const filesOf = (at: Place, name: string, level: number): string[] => {
  const all = readdirSync(join(at.replica(name), 'ltx'), { recursive: true }) as string[];
  return all.filter((file) => file.startsWith(`${level}/`)).sort();
};

/** 0 while the replica is empty. */
async function restoredRows(at: Place, name: string): Promise<number> {
  if (!hasFiles(at.replica(name))) return 0;
  const output = join(at.folder, `${name}-${Math.random().toString(36).slice(2)}.copy`);
  const { exitCode, stderr } = await run(['restore', '-o', output, `file://${at.replica(name)}`]);
  if (exitCode !== 0) throw new Error(stderr);
  return countRows(output);
}

describe('SIGHUP', () => {
  test('that comes while the daemon starts reads the config again once it has', async () => {
    const at = place();
    createDatabase(at.database('a'));
    createDatabase(at.database('b'));
    configure(at, ['a']);
    const daemon = start(['replicate', '-config', at.config]);
    await daemon.said('msg=litestream');
    configure(at, ['a', 'b']);
    daemon.child.kill('SIGHUP');
    await daemon.said('msg="config reloaded"');
    await until(() => hasFiles(at.replica('b')), 'a file of the added database');
    expect((await daemon.stop()).exitCode).toBe(0);
  });

  test('starts what was added, stops what was removed, restarts what changed, and touches nothing else', async () => {
    const at = place();
    for (const name of ['same', 'gone', 'other', 'new']) createDatabase(at.database(name), 2);
    // No boundary comes due: the only snapshot of a database is its first one.
    const rare = 'snapshot: {interval: 8760h, retention: 8760h}\n';
    configure(at, ['same', 'gone', 'other'], rare);
    const daemon = await daemonOf(at);
    // A writer all the while: no transaction of the database that stays may be missed, and none cause a snapshot.
    let written = 2;
    const writer = setInterval(() => {
      insertRows(at.database('same'), 1);
      written++;
    }, 15);
    try {
      await until(() => written > 10, 'some rows');
      insertRows(at.database('gone'), 3);
      configure(at, ['same', { name: 'other', keys: 'busy-timeout: 2s,' }, 'new'], rare);
      await reload(daemon);
      await until(() => written > 40, 'more rows');
    } finally {
      clearInterval(writer);
    }
    expect(daemon.stdout).toContain('added=1 removed=1 changed=1 unchanged=1\n');
    expect(daemon.stdout).toContain(`level=INFO msg="removed database from replication" path=${at.database('gone')}\n`);
    expect(await restoredRows(at, 'gone')).toBe(5);
    // It is not followed any more.
    const before = filesOf(at, 'gone', 0);
    insertRows(at.database('gone'), 1);
    for (const name of ['new', 'other']) {
      insertRows(at.database(name), 4);
      await until(async () => (await restoredRows(at, name)) === 6, `the rows of ${name}`);
    }
    await until(async () => (await restoredRows(at, 'same')) === written, 'the rows of the one that stayed');
    expect(filesOf(at, 'gone', 0)).toEqual(before);

    expect((await daemon.stop()).exitCode).toBe(0);
    expect(await restoredRows(at, 'gone')).toBe(5);
    expect(daemon.stdout).not.toMatch(/level=(WARN|ERROR)/);
    // Opened once, not again; what was there when it started is the only snapshot of all pages in its history.
    expect(daemon.stdout.split(`msg="added database to replication" path=${at.database('same')}`)).toHaveLength(1);
    expect(filesOf(at, 'same', 9).length).toBeLessThanOrEqual(1);
  });

  test('a config with a mistake changes nothing, and says what it is', async () => {
    const at = place();
    createDatabase(at.database('app'), 2);
    configure(at, ['app']);
    const daemon = await daemonOf(at);
    const mistakes: readonly [text: string, reason: RegExp][] = [
      ['dbs:\n  - path: [\n', /litestream\.yml:\d+:\d+: /],
      [`dbs:\n  - {path: ${at.database('app')}, replica: {path: x, sync-interval: soon}}\n`, /litestream\.yml:2:\d+: /],
      [
        `dbs:\n  - {path: ${at.database('app')}, replica: {url: nowhere://x}}\n`,
        /no known package handles replicas of type nowhere/,
      ],
      [`dbs:\n  - {dir: ${at.folder}/empty, pattern: "*.db", replica: {path: x}}\n`, /no SQLite databases found|empty/],
    ];
    mkdirSync(join(at.folder, 'empty'));
    for (const [index, [text, reason]] of mistakes.entries()) {
      writeFileSync(at.config, text);
      daemon.child.kill('SIGHUP');
      const refusals = (): string[] =>
        daemon.stdout.split('\n').filter((line) => line.includes('msg="config not reloaded, going on'));
      await until(() => refusals().length > index, 'the refusal');
      expect(refusals().at(-1)).toMatch(reason);
      expect(refusals().at(-1)).toContain('level=ERROR');
    }
    insertRows(at.database('app'), 3);
    await until(async () => (await restoredRows(at, 'app')) === 5, 'the rows');

    rmSync(at.config);
    daemon.child.kill('SIGHUP');
    await daemon.said(/config not reloaded[^\n]+(no such file|not found|does not exist)/);
    expect((await daemon.stop()).exitCode).toBe(0);
  });

  test('settings of the whole process are named, and wait for a restart', async () => {
    const at = place();
    createDatabase(at.database('app'));
    configure(at, ['app']);
    const daemon = await daemonOf(at);
    configure(at, ['app'], 'addr: "127.0.0.1:0"\nl0-retention: 1h\n');
    await reload(daemon);
    expect(daemon.stdout).toContain(
      'level=WARN msg="changed settings take effect after a restart" settings="addr l0-retention"\n',
    );
    expect(daemon.stdout).toContain('added=0 removed=0 changed=0 unchanged=1\n');
    expect((await daemon.stop()).exitCode).toBe(0);
  });

  test('watched folders come and go', async () => {
    const at = place();
    const folder = join(at.folder, 'many');
    mkdirSync(folder);
    createDatabase(at.database('app'));
    createDatabase(join(folder, 'a.db'), 2);
    configure(at, ['app']);
    const daemon = await daemonOf(at);
    const entry = `  - {dir: ${folder}, pattern: "*.db", watch: true, replica: {path: ${at.replica('many')}}}\n`;
    const plain = `dbs:\n  - {path: ${at.database('app')}, replica: {path: ${at.replica('app')}, sync-interval: 20ms}}\n`;
    writeFileSync(at.config, plain + entry);
    await reload(daemon);
    createDatabase(join(folder, 'b.db'), 3);
    for (const [name, rows] of [
      ['many/a.db', 2],
      ['many/b.db', 3],
    ] as const) {
      await until(async () => (await restoredRows(at, name)) === rows, name);
    }
    writeFileSync(at.config, plain);
    await reload(daemon, 2);
    expect(daemon.stdout).toContain('added=0 removed=2 changed=0 unchanged=1\n');
    createDatabase(join(folder, 'c.db'), 3);
    insertRows(at.database('app'), 1);
    await until(async () => (await restoredRows(at, 'app')) === 2, 'the row');
    expect((await daemon.stop()).exitCode).toBe(0);
    expect(daemon.stdout).not.toContain('c.db');
    expect(daemon.stdout).not.toMatch(/level=(WARN|ERROR)/);
  });

  test('without a config file it is a signal to stop', async () => {
    const at = place();
    createDatabase(at.database('app'), 2);
    const daemon = start(['replicate', at.database('app'), `file://${at.replica('app')}`]);
    await daemon.said('msg="replicating to"');
    insertRows(at.database('app'), 1);
    const { exitCode, stdout } = await daemon.stop('SIGHUP');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('msg="signal received, litestream shutting down" signal=hangup');
    expect(await restoredRows(at, 'app')).toBe(3);
  });

  test('what an operator stopped stays stopped; what only the start reads restarts nothing', async () => {
    const at = place();
    for (const name of ['idle', 'app']) createDatabase(at.database(name), 2);
    const socket = `socket: {enabled: true, path: ${at.folder}/s.sock}\n`;
    configure(at, ['idle', 'app'], socket);
    const daemon = await daemonOf(at);
    const ask = (command: string, ...args: string[]): Promise<Result> =>
      run([command, '-socket', join(at.folder, 's.sock'), ...args]);
    const added = join(at.folder, 'added.db');
    createDatabase(added);
    expect((await ask('register', '-replica', `file://${at.replica('added')}`, added)).exitCode).toBe(0);
    expect((await ask('stop', at.database('idle'))).exitCode).toBe(0);

    const restoring = { name: 'app', keys: 'restore-if-db-not-exists: true,' };
    configure(at, [{ name: 'idle', keys: 'busy-timeout: 2s,' }, restoring], socket);
    await reload(daemon);
    expect(daemon.stdout).toContain('added=0 removed=0 changed=1 unchanged=1\n');
    const states = (await ask('list')).stdout.trimEnd().split('\n').slice(-3);
    expect(states.map((line) => line.split(/\s+/).slice(0, 2))).toEqual([
      [at.database('app'), '[replicating]'],
      [added, '[replicating]'],
      [at.database('idle'), '[stopped]'],
    ]);
    expect((await ask('start', at.database('idle'))).exitCode).toBe(0);
    insertRows(at.database('idle'), 1);
    await until(async () => (await restoredRows(at, 'idle')) === 3, 'the row');

    // A place that a database from the socket has is taken, and nothing is stopped for it.
    const taken = { name: 'more', keys: '' };
    createDatabase(at.database('more'));
    configure(at, ['idle', 'app', taken], socket);
    writeFileSync(at.config, readFileSync(at.config, 'utf8').replace(at.replica('more'), at.replica('added')));
    daemon.child.kill('SIGHUP');
    await daemon.said(/level=ERROR msg="config not reloaded[^\n]+would share a replica/);
    expect((await daemon.stop()).exitCode).toBe(0);
  });

  test('a database that cannot be replicated as it is wanted now goes on as it was', async () => {
    const at = place();
    for (const name of ['app', 'other']) createDatabase(at.database(name), 2);
    configure(at, ['app', 'other']);
    const daemon = await daemonOf(at);
    // A file stands where the replica is to be.
    writeFileSync(join(at.folder, 'file'), '');
    writeFileSync(at.config, readFileSync(at.config, 'utf8').replace(at.replica('app'), `${at.folder}/file/app`));
    await reload(daemon);
    expect(daemon.stdout).toMatch(/level=ERROR msg="cannot replicate database" path=\S+app\.db/);
    expect(daemon.stdout).toMatch(/level=WARN msg="database keeps its previous configuration" path=\S+app\.db/);
    insertRows(at.database('app'), 3);
    await until(async () => (await restoredRows(at, 'app')) === 5, 'the rows');
    expect((await daemon.stop()).exitCode).toBe(0);
  });

  test('one whose last sync fails keeps none of the others waiting, and a stop meanwhile loses nothing', async () => {
    const at = place();
    for (const name of ['gone', 'app', 'new']) createDatabase(at.database(name), 2);
    configure(at, ['gone', 'app'], 'shutdown-sync-timeout: 1h\n');
    makeRemovable(at.replica('gone'));
    const daemon = await daemonOf(at);
    await until(() => hasFiles(at.replica('gone')), 'the first files');
    // Its replica does not take files any more, and is empty once it does again.
    takeAway(at.replica('gone'));
    insertRows(at.database('gone'), 2);
    configure(at, [{ name: 'app', keys: 'busy-timeout: 2s,' }, 'new'], 'shutdown-sync-timeout: 1h\n');
    daemon.child.kill('SIGHUP');
    await daemon.said(`msg="added database to replication" path=${at.database('new')}`);
    insertRows(at.database('new'), 1);
    await until(async () => (await restoredRows(at, 'new')) === 3, 'the row of the new one');
    expect(daemon.stdout).not.toContain('msg="removed database from replication"');
    // The last sync of the removed one still goes on: told to stop now, it is given the same chance.
    daemon.child.kill('SIGTERM');
    await daemon.said('msg="signal received, litestream shutting down" signal=terminated');
    rmSync(at.replica('gone'));
    expect((await daemon.ended).exitCode).toBe(0);
    expect(await restoredRows(at, 'gone')).toBe(4);
  });
});
