import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test } from 'vitest';
import { countRows, createDatabase, insertRows } from './support/database.ts';
import { linesInOrder, run, scratchFolder, start, until, withoutTimes } from './support/cli.ts';
import { hasFiles } from './support/replica.ts';

interface Setup {
  readonly folder: string;
  readonly database: string;
  readonly replica: string;
  readonly url: string;
}

function setup(rows = 1): Setup {
  const folder = scratchFolder();
  const database = join(folder, 'app.db');
  const replica = join(folder, 'replica');
  createDatabase(database, rows);
  return { folder, database, replica, url: `file://${replica}` };
}

async function restoredRows({ folder, url }: Setup): Promise<number> {
  const output = join(folder, `restored-${Math.random().toString(36).slice(2)}.db`);
  const result = await run(['restore', '-o', output, url]);
  expect(result).toMatchObject({ exitCode: 0, stderr: '' });
  return countRows(output);
}

describe('replicate', () => {
  test('follows a database until SIGTERM and says what upstream says', async () => {
    const at = setup();
    const daemon = start(['replicate', at.database, at.url]);
    await daemon.said('msg="replicating to"');
    insertRows(at.database, 10);
    await until(() => hasFiles(at.replica), 'a file on the replica');
    insertRows(at.database, 10);
    const { exitCode, stdout, stderr } = await daemon.stop('SIGTERM');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const lines = linesInOrder(stdout);
    expect(lines.slice(0, 3)).toEqual([
      expect.stringMatching(/^level=INFO msg=litestream version=\S+ level=INFO$/),
      `level=INFO msg="initialized db" path=${at.database}`,
      `level=INFO msg="replicating to" type=file sync-interval=1s path=${at.replica}`,
    ]);
    expect(lines.slice(-2)).toEqual([
      'level=INFO msg="signal received, litestream shutting down" signal=terminated',
      'level=INFO msg="litestream shut down"',
    ]);
    expect(stdout).not.toMatch(/level=(WARN|ERROR)/);
    expect(await restoredRows(at)).toBe(21);
  });

  test('what was committed just before SIGINT is on the replica', async () => {
    const at = setup();
    const daemon = start(['replicate', at.database, at.url]);
    await daemon.said('msg="replicating to"');
    insertRows(at.database, 200);
    const { exitCode, stdout } = await daemon.stop('SIGINT');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('signal=interrupt\n');
    expect(await restoredRows(at)).toBe(201);
  });

  test('waits for a database that does not exist yet', async () => {
    const folder = scratchFolder();
    const at: Setup = {
      folder,
      database: join(folder, 'app.db'),
      replica: join(folder, 'replica'),
      url: `file://${folder}/replica`,
    };
    const daemon = start(['replicate', at.database, at.url]);
    await daemon.said('msg="replicating to"');
    createDatabase(at.database, 5);
    await until(() => hasFiles(at.replica), 'a file on the replica');
    expect((await daemon.stop()).stdout).not.toContain('level=ERROR');
    expect(await restoredRows(at)).toBe(5);
  });

  test('says once that a path leads to no database, and which file may be meant', async () => {
    const folder = scratchFolder();
    createDatabase(join(folder, 'app.db'), 1);
    const daemons = [
      join(folder, 'ap.db'),
      join(folder, 'nowhere', 'app.db'),
      join(folder, 'quite-another.sqlite'),
    ].map((path, index) => start(['replicate', path, `file://${folder}/replica-${index}`]));
    const warned = 'level=WARN msg="database does not exist, waiting for it"';
    for (const daemon of daemons) await daemon.said(warned);
    const said = await Promise.all(daemons.map(async (daemon) => (await daemon.stop()).stdout));
    expect(said[0]).toContain(`path=${folder}/ap.db hint="Did you mean ${folder}/app.db?"`);
    expect(said[1]).toContain(`hint="The folder ${folder}/nowhere does not exist. Check the path."`);
    expect(said[2]).toContain('hint="Replication starts when the database is created."');
    for (const text of said) expect(text.split(warned)).toHaveLength(2);
  });

  test('waits for a lock that an application holds when it starts, without an error', async () => {
    const at = setup();
    const app = new DatabaseSync(at.database);
    app.exec("BEGIN IMMEDIATE; INSERT INTO t VALUES ('held')");
    const daemon = start(['replicate', at.database, at.url]);
    await daemon.said('msg="database is locked, waiting"');
    app.exec('COMMIT');
    app.close();
    await until(() => hasFiles(at.replica), 'a file on the replica');
    const { exitCode, stdout } = await daemon.stop();
    expect(exitCode).toBe(0);
    // One that is held for ten seconds is an error.
    const linesOf = (pattern: RegExp): number[] =>
      [...stdout.matchAll(pattern)].map(({ groups }) => Date.parse(groups?.['time'] ?? ''));
    const [waitedFrom = 0] = linesOf(/^time=(?<time>\S+) level=INFO msg="database is locked, waiting"/gm);
    const complaints = linesOf(/^time=(?<time>\S+) level=(?:WARN|ERROR)/gm);
    expect(complaints.filter((at) => at < waitedFrom + 9900)).toEqual([]);
    expect(await restoredRows(at)).toBe(2);
  });

  test('log formats, levels and standard error', async () => {
    const at = setup();
    const config = join(at.folder, 'litestream.yml');
    const write = (logging: string): void =>
      writeFileSync(config, `logging: ${logging}\ndbs: [{path: ${at.database}, replica: {path: ${at.replica}}}]\n`);
    write('{type: json, level: debug}');
    const json = await run(['replicate', '-once', '-config', config]);
    const records = json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records.map(({ msg }) => msg)).toContain('ltx file uploaded');
    expect(records[0]).toMatchObject({ level: 'debug', msg: 'litestream' });
    expect(records.find(({ msg }) => msg === 'replicating to')).toMatchObject({
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      level: 'INFO',
      type: 'file',
      'sync-interval': 1e9,
    });

    write('{type: pretty, stderr: true}');
    const pretty = await run(['replicate', '-once', '-config', config]);
    expect(pretty.stdout).toBe('');
    expect(pretty.stderr).toMatch(/^\d\d:\d\d:\d\d INF litestream version=\S+ level=""\n/);
    expect(pretty.stderr).not.toContain('\u001B');

    write('{level: error}');
    expect((await run(['replicate', '-once', '-config', config])).stdout).toBe('');
    expect((await run(['replicate', '-log-level', 'info', '-once', '-config', config])).stdout).toContain('level=INFO');
    const traced = await run(['replicate', '-once', '-config', config], { env: { LOG_LEVEL: 'DEBUG' } });
    expect(traced.stdout).toContain('msg=litestream');
    expect(traced.stdout).toContain('level=DEBUG');
  });

  test('several databases and several replicas from a config', async () => {
    const at = setup(3);
    const other = join(at.folder, 'other.db');
    createDatabase(other, 7);
    const config = join(at.folder, 'litestream.yml');
    writeFileSync(
      config,
      `dbs:
  - path: ${at.database}
    replicas:
      - path: ${at.folder}/r1
      - url: file://${at.folder}/r2
  - path: ${other}
    replica: {path: ${at.folder}/r3, sync-interval: 20ms}
`,
    );
    const daemon = start(['replicate', '-config', config]);
    await daemon.said(/replicating to.*r3\n/);
    insertRows(at.database, 4);
    expect((await daemon.stop()).exitCode).toBe(0);
    for (const [name, rows] of [
      ['r1', 7],
      ['r2', 7],
      ['r3', 7],
    ] as const) {
      expect(await restoredRows({ ...at, url: `file://${at.folder}/${name}` })).toBe(rows);
    }
  });

  test('restores what is missing before it starts', async () => {
    const at = setup(5);
    expect((await run(['replicate', '-once', at.database, at.url])).exitCode).toBe(0);
    const copy = join(at.folder, 'copy.db');
    const first = await run(['replicate', '-once', '-restore-if-db-not-exists', copy, at.url]);
    expect(first.exitCode).toBe(0);
    expect(withoutTimes(first.stdout).slice(1, 3)).toEqual([
      `level=INFO msg="attempting restore before replication" path=${copy}`,
      `level=INFO msg="restore completed" path=${copy}`,
    ]);
    expect(countRows(copy)).toBe(5);
    const second = await run(['replicate', '-once', '-restore-if-db-not-exists', copy, at.url]);
    expect(second.stdout).toContain(`msg="database exists, skipping restore" path=${copy}`);
    const empty = await run([
      'replicate',
      '-once',
      '-restore-if-db-not-exists',
      join(at.folder, 'x.db'),
      `${at.url}-empty`,
    ]);
    expect(empty.stdout).toContain('msg="no backup found, starting fresh"');
  });

  test('-once with a snapshot and retention', async () => {
    const at = setup(5);
    const { exitCode, stdout } = await run([
      'replicate',
      '-once',
      '-force-snapshot',
      '-enforce-retention',
      at.database,
      at.url,
    ]);
    expect(exitCode).toBe(0);
    const lines = linesInOrder(stdout);
    expect(lines.slice(3)).toEqual([
      `level=INFO msg="syncing database" path=${at.database}`,
      `level=INFO msg="taking snapshot" path=${at.database}`,
      `level=INFO msg="enforcing retention" path=${at.database}`,
      'level=INFO msg="one-shot replication complete"',
      'level=INFO msg="replication complete, litestream shutting down"',
      'level=INFO msg="litestream shut down"',
    ]);
    expect(existsSync(join(at.replica, 'ltx/9/0000000000000001-0000000000000001.ltx'))).toBe(true);
  });
});

test('a signal ends -once at once, however long a server keeps it waiting', async () => {
  const at = setup();
  // Takes connections and never says a word.
  let connectionCount = 0;
  const server = createServer(() => (connectionCount += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const connected = new Promise((resolve) => server.once('connection', resolve));
  const { port } = server.address() as AddressInfo;
  const running = start(['replicate', '-once', at.database, `sftp://u:password@127.0.0.1:${port}/p`]);
  await connected;
  const connectedAtMs = performance.now();
  const { exitCode, stderr } = await running.stop('SIGINT');
  expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: 'Error: stopped by SIGINT\n' });
  // The server would be given up half a minute after it was connected to, and then be tried again.
  expect(performance.now() - connectedAtMs).toBeLessThan(30_000);
  expect(connectionCount).toBe(1);
  // What is left behind is no obstacle to the next run.
  expect((await run(['replicate', '-once', at.database, at.url])).exitCode).toBe(0);
  expect(await restoredRows(at)).toBe(1);
});

describe('-exec', () => {
  test('runs a program, replicates what it wrote and exits with its code', async () => {
    const at = setup();
    const script = join(at.folder, 'app.mjs');
    writeFileSync(
      script,
      `import { DatabaseSync } from 'node:sqlite';
const db = new DatabaseSync(process.argv[2]);
db.exec('PRAGMA busy_timeout = 60000');
for (let i = 0; i < 50; i++) db.exec("INSERT INTO t VALUES ('app')");
process.exit(7);
`,
    );
    const result = await run([
      'replicate',
      '-exec',
      `${process.execPath} '${script}' "${at.database}"`,
      at.database,
      at.url,
    ]);
    expect(result.exitCode).toBe(7);
    expect(linesInOrder(result.stdout).slice(-2)).toEqual([
      'level=INFO msg="subprocess exited, litestream shutting down"',
      'level=INFO msg="litestream shut down"',
    ]);
    expect(await restoredRows(at)).toBe(51);
  });

  test('gives the program the environment without credentials, unless the config says so', async () => {
    const at = setup();
    const seen = join(at.folder, 'environment');
    const script = join(at.folder, 'app.mjs');
    writeFileSync(
      script,
      `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(seen)}, JSON.stringify(process.env));`,
    );
    const config = join(at.folder, 'exec.yml');
    const env = {
      APP_NAME: 'shop',
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'canary-aws-secret',
      LITESTREAM_AZURE_SAS_TOKEN: 'canary-sas-token',
      BACKUP_KEY: 'canary-of-the-config',
    };
    const credentials = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'BACKUP_KEY', 'LITESTREAM_AZURE_SAS_TOKEN'];
    for (const [key, expected] of [
      ['', []],
      ['exec-credentials: true\n', credentials],
    ] as const) {
      writeFileSync(
        config,
        `${key}secret-access-key: $BACKUP_KEY\ndbs: [{path: ${at.database}, replica: {path: ${at.folder}/exec}}]\n`,
      );
      const args = ['replicate', '-config', config, '-exec', `${process.execPath} '${script}'`];
      const { stdout } = await run(args, { env });
      const given = JSON.parse(readFileSync(seen, 'utf8')) as Record<string, string>;
      expect(given).toMatchObject({ APP_NAME: 'shop', AWS_REGION: 'eu-central-1' });
      expect(credentials.filter((name) => name in given)).toEqual(expected);
      expect(stdout.includes('exec-credentials: true in the config does')).toBe(expected.length === 0);
      expect(stdout).not.toContain('canary');
    }
  });

  test.each([
    ['0', 'process.on("SIGTERM", () => process.exit(0))', 0],
    ['of its own', 'process.on("SIGTERM", () => process.exit(3))', 3],
    ['none, since the signal ends it', '', 0],
  ])('passes SIGTERM on; the exit code is %s', async (_, handler, exitCode) => {
    const at = setup();
    const mark = join(at.folder, 'started');
    const script = join(at.folder, 'app.mjs');
    writeFileSync(
      script,
      `import { writeFileSync } from 'node:fs'; ${handler}; writeFileSync('${mark}', String(process.pid)); setInterval(() => {}, 1000);`,
    );
    const daemon = start(['replicate', '-exec', `${process.execPath} ${script}`, at.database, at.url]);
    await until(() => existsSync(mark) && readFileSync(mark, 'utf8') !== '', 'the program');
    const result = await daemon.stop('SIGTERM');
    expect(result.exitCode).toBe(exitCode);
    expect(linesInOrder(result.stdout).slice(-4)).toEqual([
      'level=INFO msg="signal received, litestream shutting down" signal=terminated',
      'level=INFO msg="sending signal to exec process"',
      'level=INFO msg="waiting for exec process to close"',
      'level=INFO msg="litestream shut down"',
    ]);
    expect(() => process.kill(Number(readFileSync(mark, 'utf8')), 0)).toThrow(/ESRCH/);
  });

  test('a program that takes its time to stop is waited for, and replicated meanwhile', async () => {
    const at = setup();
    const mark = join(at.folder, 'mark');
    const script = join(at.folder, 'app.mjs');
    writeFileSync(
      script,
      `import { DatabaseSync } from 'node:sqlite';
import { existsSync, writeFileSync } from 'node:fs';
const db = new DatabaseSync(process.argv[2]);
db.exec('PRAGMA busy_timeout = 60000');
process.on('SIGTERM', () => {
  db.exec("INSERT INTO t VALUES ('late')");
  writeFileSync('${mark}', 'late');
  setInterval(() => { if (existsSync('${mark}.go')) process.exit(5); }, 50);
});
const parent = process.ppid;
setInterval(() => { if (process.ppid !== parent) process.exit(1); }, 100);
writeFileSync('${mark}', 'started');
`,
    );
    const exec = `${process.execPath} ${script} ${at.database}`;
    const daemon = start(['replicate', '-exec', exec, at.database, at.url]);
    const marked = (text: string): Promise<void> =>
      until(() => existsSync(mark) && readFileSync(mark, 'utf8') === text, text);
    await marked('started');
    await until(() => hasFiles(at.replica), 'a file on the replica');
    daemon.child.kill('SIGTERM');
    await marked('late');
    await daemon.said('msg="waiting for exec process to close"');
    await until(async () => (await restoredRows(at)) === 2, 'the row that was written after the signal');
    writeFileSync(`${mark}.go`, '');
    expect((await daemon.ended).exitCode).toBe(5);
    expect(await restoredRows(at)).toBe(2);
  });

  test('a program that cannot be started', async () => {
    const at = setup();
    const result = await run(['replicate', '-exec', 'no-such-program-here --x', at.database, at.url]);
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toBe(
      'Error: cannot start exec command no-such-program-here: no such program. Give a program on the PATH or its full path; use sh -c for shell syntax.\n',
    );
  });
});

describe('databases and replicas that cannot be used', () => {
  const failing = async (args: readonly string[], uid?: number): Promise<string> => {
    const { exitCode, stderr } = await run(['replicate', ...args], uid === undefined ? {} : { uid });
    expect(exitCode).toBe(1);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(/^Error: /);
    return stderr.trimEnd();
  };

  test('not a database, encrypted', async () => {
    const folder = scratchFolder();
    const path = join(folder, 'app.db');
    for (const content of [Buffer.from('hello, this is a text file\n'.repeat(9)), Buffer.alloc(8192, 0xa7)]) {
      writeFileSync(path, content);
      expect(await failing([path, `file://${folder}/r`])).toBe(
        `Error: not a SQLite database: ${path}. The file does not begin with "SQLite format 3". An encrypted database cannot be replicated as it is.`,
      );
      expect(readFileSync(path)).toEqual(content);
      expect(existsSync(`${folder}/r`)).toBe(false);
    }
  });

  test('a folder', async () => {
    const folder = scratchFolder();
    expect(await failing([folder, `file://${folder}/r`])).toBe(
      `Error: not a database, but a directory: ${folder}. Give the path of the database file; to replicate every database of a folder, use \`dir\` in the config.`,
    );
  });

  test('an empty file is waited for until it is a database', async () => {
    const folder = scratchFolder();
    const path = join(folder, 'app.db');
    writeFileSync(path, '');
    const daemon = start(['replicate', path, `file://${folder}/r`]);
    await daemon.said('msg="replicating to"');
    createDatabase(path, 2);
    expect((await daemon.stop()).exitCode).toBe(0);
    expect((await run(['restore', '-o', `${folder}/out.db`, `file://${folder}/r`])).exitCode).toBe(0);
    expect(countRows(`${folder}/out.db`)).toBe(2);
  });

  test('-once needs a database', async () => {
    const folder = scratchFolder();
    expect(await failing(['-once', `${folder}/none.db`, `file://${folder}/r`])).toBe(
      `Error: there is no database to replicate: ${folder}/none.db. Check the path.`,
    );
  });

  test('a replica below a file', async () => {
    const at = setup();
    writeFileSync(join(at.folder, 'file'), 'x');
    expect(await failing([at.database, `file://${at.folder}/file/replica`])).toBe(
      `Error: replica path is not writable: ${at.folder}/file/replica: a part of it is a file. Choose another path.`,
    );
  });

  // Only root can become somebody else, and without that nothing here is out of reach.
  test.runIf(process.getuid?.() === 0)('no permission', async () => {
    const { chmodSync } = await import('node:fs');
    const nobody = 65_534;
    const at = setup();
    chmodSync(at.folder, 0o777);
    chmodSync(at.database, 0o600);
    expect(await failing([at.database, at.url], nobody)).toMatch(
      /^Error: no permission to read the database: \S+app\.db: EACCES: .* Run as the user that owns the database/,
    );
    chmodSync(at.database, 0o666);
    mkdirSync(at.replica, { mode: 0o700 });
    expect(await failing([at.database, at.url], nobody)).toBe(
      `Error: replica path is not writable: ${at.replica}: permission denied in ${at.replica}. Give this user write permission there, or choose another path.`,
    );
  });

  test('one bad database does not stop the others', async () => {
    const at = setup(2);
    const bad = join(at.folder, 'bad.db');
    writeFileSync(bad, 'not a database at all, this one');
    const config = join(at.folder, 'litestream.yml');
    writeFileSync(
      config,
      `dbs:\n  - {path: ${bad}, replica: {path: ${at.folder}/bad-replica}}\n  - {path: ${at.database}, replica: {path: ${at.replica}}}\n`,
    );
    const daemon = start(['replicate', '-config', config]);
    await daemon.said('msg="replicating to"');
    const { exitCode, stdout } = await daemon.stop();
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`level=ERROR msg="cannot replicate database" path=${bad} error="not a SQLite database`);
    expect(await restoredRows(at)).toBe(2);
  });

  test('warnings of the config are in the log', async () => {
    const at = setup();
    const config = join(at.folder, 'litestream.yml');
    writeFileSync(config, `dbs: [{path: ${at.database}, replica: {path: ${at.replica}, sync-intervall: 1s}}]\n`);
    const { stdout } = await run(['replicate', '-once', '-config', config]);
    expect(withoutTimes(stdout)[0]).toMatch(
      /^level=WARN msg="\S+litestream\.yml:1:\d+: unknown key dbs\[0\]\.replica\.sync-intervall: did you mean sync-interval\?"$/,
    );
  });
});
