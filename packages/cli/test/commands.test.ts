import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../src/commands/table.ts';
import { createDatabase } from './support/database.ts';
import { run, scratchFolder } from './support/cli.ts';

const usageError = (...lines: string[]): object => ({ exitCode: 1, stdout: '', stderr: `${lines.join('\n')}\n` });

describe('help', () => {
  test.each([['help'], ['-h'], ['-help'], ['--help']])('litestream %s', async (word) => {
    const result = await run([word]);
    expect(result).toMatchObject({ exitCode: 0, stderr: '' });
    expect(result.stdout).toMatch(
      /^litestream .*\n\nUsage:\n\n\tlitestream <command> \[arguments\]\n\nThe commands are:\n/,
    );
    expect(result.stdout).toMatch(/^\treplicate +runs a server to replicate databases$/m);
    expect(result.stdout).not.toMatch(/^\twal /m);
  });

  test('no command prints the overview and fails', async () => {
    const result = await run([]);
    expect(result).toMatchObject({ exitCode: 1, stderr: '' });
    expect(result.stdout).toContain('The commands are:');
  });

  test.each(COMMANDS.filter(({ deprecatedFor }) => deprecatedFor === undefined).map(({ name }) => name))(
    '%s -h goes to standard output and succeeds',
    async (command) => {
      const results = await Promise.all([run([command, '-h']), run(['help', command])]);
      for (const result of results) expect(result).toEqual({ exitCode: 0, stderr: '', stdout: results[0]?.stdout });
      expect(results[0]?.stdout).toContain(`\tlitestream ${command}`);
    },
  );
});

test.each(['--version', '-version'])('%s is the command version', async (flag) => {
  expect(await run([flag])).toEqual(await run(['version']));
});

describe('wrong command lines say one line, and what to try', () => {
  test.each<[string[], ...string[]]>([
    [['bogus'], 'Error: litestream bogus: unknown command', 'Try: litestream help'],
    [['replicat'], 'Error: litestream replicat: unknown command', 'Try: litestream replicate'],
    [['-config', 'x', 'replicate'], 'Error: flag -config must come after a command', 'Try: litestream help'],
    [['version', '-x'], 'Error: flag provided but not defined: -x', 'Try: litestream version -h'],
    [
      ['replicate', '-onec'],
      'Error: flag provided but not defined: -onec (did you mean -once?)',
      'Try: litestream replicate -h',
    ],
    [['replicate', '-exec'], 'Error: flag needs an argument: -exec', 'Try: litestream replicate -h'],
    [
      ['replicate', 'a.db'],
      'Error: must specify at least one replica URL for a.db',
      'Try: litestream replicate a.db s3://bucket/prefix',
    ],
    [
      ['replicate', 'a.db', 'file:///r', '-once'],
      'Error: flag "-once" must be positioned before DB_PATH and REPLICA_URL arguments',
      'Try: litestream replicate -once a.db REPLICA_URL',
    ],
    [['replicate', 'a.db', '/r'], 'Error: replica url scheme required: /r', 'Try: litestream replicate a.db file:///r'],
    [['replicate', '-config', 'c', 'a.db', 'file:///r'], 'Error: cannot specify a replica URL and the -config flag'],
    [['replicate', '-once', '-exec', 'ls', 'a.db', 'file:///r'], 'Error: cannot specify -once flag with -exec'],
    [['replicate', '-force-snapshot', 'a.db', 'file:///r'], 'Error: cannot specify -force-snapshot flag without -once'],
    [
      ['replicate', '-enforce-retention', 'a.db', 'file:///r'],
      'Error: cannot specify -enforce-retention flag without -once',
    ],
    [
      ['restore'],
      'Error: database path or replica URL required',
      'Try: litestream restore -o /path/to/db s3://bucket/prefix',
    ],
    [
      ['restore', 'file:///r'],
      'Error: -o is required when restoring from a replica URL',
      'Try: litestream restore -o /path/to/db file:///r',
    ],
    [['restore', 'a', 'b'], 'Error: too many arguments', 'Try: litestream restore -o /path/to/db s3://bucket/prefix'],
    [
      ['restore', 'file:///r', '-o', 'x'],
      'Error: flag "-o" must be positioned before file:///r',
      'Try: litestream restore -o /path/to/db s3://bucket/prefix',
    ],
    [
      ['restore', '-txid', '7', 'file:///r'],
      'Error: invalid value "7" for flag -txid: invalid txid format, it has 16 hex digits',
      'Try: litestream restore -h',
    ],
    [
      ['restore', '-timestamp', 'yesterday', 'file:///r'],
      'Error: invalid value "yesterday" for flag -timestamp: must be a time such as 2026-01-31T14:05:00Z, "2026-01-31 14:05" (local), "yesterday 14:05" or "2h ago"',
      'Try: litestream restore -h',
    ],
    [
      ['restore', '-txid', '0000000000000001', '-timestamp', '2026-01-01T00:00:00Z', '-o', 'x', 'file:///r'],
      'Error: cannot specify both -txid and -timestamp',
      'Try: litestream restore -h',
    ],
    [['restore', '-config', 'c', '-o', 'x', 'file:///r'], 'Error: cannot specify a replica URL and the -config flag'],
    [['ltx'], 'Error: database path or replica URL required', 'Try: litestream ltx /path/to/db'],
    [['reset'], 'Error: database path required', 'Try: litestream reset /path/to/db'],
    [['databases', 'x'], 'Error: too many arguments', 'Try: litestream databases'],
    [
      ['databases'],
      'Error: config file not found: /does/not/exist.yml. Name it with -config PATH or LITESTREAM_CONFIG.',
    ],
    [
      ['replicate'],
      'Error: config file not found: /does/not/exist.yml. Name it with -config PATH or LITESTREAM_CONFIG, or give a database and its replica URL.',
    ],
    [
      ['ltx', 'a.db'],
      'Error: config file not found: /does/not/exist.yml. Name it with -config PATH or LITESTREAM_CONFIG, or give a replica URL instead of a database.',
    ],
  ])('litestream %j', async (args, ...lines) => {
    expect(await run(args)).toEqual(usageError(...lines));
  });
});

test.each(['20.19.0', '22.17.1'])('Node %s is too old, in one line', async (node) => {
  const pretend = `Object.defineProperty(process,'versions',{value:{...process.versions,node:'${node}'}})`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(pretend)}` };
  expect(await run(['version'], { env })).toEqual(
    usageError(`Error: litestream needs Node 22.18 or newer, this is ${node}`),
  );
});

describe('version', () => {
  test('alone', async () => {
    expect(await run(['version'])).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/),
    });
  });

  test('in detail', async () => {
    const { stdout } = await run(['version', '-verbose']);
    expect(stdout).toMatch(/^Version: {5}\S+\nNode: {8}\d\S+\nSQLite: {6}\d\S+\nOS\/Arch: {5}\S+\n$/);
  });
});

describe('databases', () => {
  test('as a table and as JSON', async () => {
    const folder = scratchFolder();
    const config = join(folder, 'litestream.yml');
    writeFileSync(config, `dbs:\n  - path: ${folder}/a.db\n    replica: {path: ${folder}/replica}\n`);
    expect(await run(['databases', '-config', config])).toEqual({
      exitCode: 0,
      stdout: `path${' '.repeat(folder.length + 5 - 2)}replica\n${folder}/a.db  file\n`,
      stderr: '',
    });
    expect(await run(['databases', '-json', '-config', config])).toEqual({
      exitCode: 0,
      stdout: `[\n  {\n    "path": "${folder}/a.db",\n    "replica": "file"\n  }\n]\n`,
      stderr: '',
    });
  });

  test('none', async () => {
    const config = join(scratchFolder(), 'litestream.yml');
    writeFileSync(config, 'dbs: []\n');
    expect(await run(['databases', '-config', config])).toMatchObject({ exitCode: 0, stdout: 'path  replica\n' });
    expect(await run(['databases', '-json'], { env: { LITESTREAM_CONFIG: config } })).toMatchObject({ stdout: '[]\n' });
  });

  test('of a folder', async () => {
    const folder = scratchFolder();
    const config = join(folder, 'litestream.yml');
    createDatabase(join(folder, 'b.db'));
    createDatabase(join(folder, 'a.db'));
    writeFileSync(join(folder, 'c.db'), 'no database');
    writeFileSync(config, `dbs:\n  - {dir: ${folder}, pattern: "*.db", replica: {path: /r}}\n`);
    const { stdout } = await run(['databases', '-json', '-config', config]);
    expect(JSON.parse(stdout)).toEqual(['a.db', 'b.db'].map((name) => ({ path: join(folder, name), replica: 'file' })));
  });

  test('a misspelt key is a warning on standard error', async () => {
    const config = join(scratchFolder(), 'litestream.yml');
    writeFileSync(config, 'dsb: []\n');
    expect(await run(['databases', '-config', config])).toEqual({
      exitCode: 0,
      stdout: 'path  replica\n',
      stderr: `Warning: ${config}:1:1: unknown key dsb: did you mean dbs?\n`,
    });
  });

  test('malformed YAML names file, line and column', async () => {
    const config = join(scratchFolder(), 'litestream.yml');
    writeFileSync(config, 'dbs:\n  - path: "a.db\n');
    const { exitCode, stdout, stderr } = await run(['databases', '-config', config]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toBe(
      `Error: ${config}:3:1: not valid YAML: Missing closing "quote. Check the indentation, colons and quotes around that place.\n`,
    );
  });
});

describe('status and reset', () => {
  test('tell what is there and take it away', async () => {
    const folder = scratchFolder();
    const database = join(folder, 'a.db');
    const config = join(folder, 'litestream.yml');
    writeFileSync(
      config,
      `dbs:\n  - {path: ${database}, replica: {path: ${folder}/r}}\n  - {path: ${folder}/none.db, replica: {path: ${folder}/s}}\n`,
    );
    createDatabase(database, 3);
    const rows = async (): Promise<unknown> =>
      JSON.parse((await run(['status', '-json', '-config', config])).stdout) as unknown;
    const none = { database: `${folder}/none.db`, status: 'no database', local_txid: '-', wal_size: '-' };
    expect(await rows()).toEqual([
      { database, status: 'not initialized', local_txid: '-', wal_size: expect.stringMatching(/^\d+(\.\d)? k?B$/) },
      none,
    ]);
    expect((await run(['replicate', '-once', database, `file://${folder}/r`])).exitCode).toBe(0);
    expect(await rows()).toMatchObject([{ status: 'ok', local_txid: '0000000000000001' }, none]);
    expect((await run(['status', '-config', config, database])).stdout).toMatch(
      /^database +status {2}local txid {8}wal size\n\S+a\.db {2}ok {6}0000000000000001 {2}\S+ k?B\n$/,
    );

    const ltx = join(folder, '.a.db-litestream', 'ltx');
    expect((await run(['reset', '-dry-run', database])).stdout).toBe(
      `Dry run: local Litestream state would be reset for: ${database}\nWould remove: ${ltx}\n` +
        `Files that would be removed:\n  ${ltx}/0/0000000000000001-0000000000000001.ltx\nNo files were removed.\n`,
    );
    const { stdout: told } = await run(['reset', database]);
    expect(told.replaceAll(/^time=.*\n/gm, '')).toBe(
      `Resetting local Litestream state for: ${database}\nRemoving: ${ltx}\n` +
        'Reset complete. Next replication sync will create a fresh snapshot.\n',
    );
    expect(await rows()).toMatchObject([{ status: 'not initialized' }, none]);
  });

  test('a database that does not exist', async () => {
    expect(await run(['reset', '/does/not/exist.db'])).toEqual(
      usageError('Error: database does not exist: /does/not/exist.db. Check the path.'),
    );
  });
});
