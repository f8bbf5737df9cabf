import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { decodeBody } from '../src/control/decode.ts';
import { goJson, goJsonIndented } from '../src/control/go-json.ts';
import { countRows, createDatabase, insertRows } from './support/database.ts';
import { run, scratchFolder, start, until } from './support/cli.ts';
import type { Cli, Result } from './support/cli.ts';

interface Setup {
  readonly folder: string;
  readonly database: string;
  readonly replica: string;
  readonly socket: string;
  readonly config: string;
}

function setup(more = ''): Setup {
  const folder = scratchFolder();
  const at = {
    folder,
    database: join(folder, 'app.db'),
    replica: join(folder, 'replica'),
    socket: join(folder, 'litestream.sock'),
    config: join(folder, 'litestream.yml'),
  };
  createDatabase(at.database);
  writeFileSync(
    at.config,
    `socket: {enabled: true, path: ${at.socket}}\n${more}dbs: [{path: ${at.database}, replica: {path: ${at.replica}}}]\n`,
  );
  return at;
}

async function daemonOf(at: Setup): Promise<Cli> {
  const daemon = start(['replicate', '-config', at.config]);
  await daemon.said('msg="replicating to"');
  return daemon;
}

function ask(socketPath: string, path: string, body?: string): Promise<{ status: number; type: string; body: string }> {
  return new Promise((resolve, reject) => {
    const method = body === undefined ? 'GET' : 'POST';
    const outgoing = request({ socketPath, path, method, agent: false }, (response) => {
      const { statusCode: status = 0, headers } = response;
      text(response).then((answer) => resolve({ status, type: headers['content-type'] ?? '', body: answer }), reject);
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

/** The answers to two requests in one packet: the second begins while the first is under way, on any machine. */
async function statusesOfTwo(socketPath: string, path: string): Promise<number[]> {
  const connection = connect(socketPath);
  const head = `GET ${path} HTTP/1.1\r\nHost: localhost\r\n`;
  connection.write(`${head}\r\n${head}Connection: close\r\n\r\n`);
  return [...(await text(connection)).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
}

describe('the socket', () => {
  test('is not there unless it is asked for', async () => {
    const at = setup();
    writeFileSync(at.config, readFileSync(at.config, 'utf8').replace('enabled: true, ', ''));
    await daemonOf(at);
    expect(existsSync(at.socket)).toBe(false);
    const { exitCode, stdout, stderr } = await run(['info', '-socket', at.socket]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toBe(
      `Error: failed to connect to control socket: dial unix ${at.socket}: connect: no such file or directory\n` +
        'Try: start litestream replicate with `socket: {enabled: true}` in its config, and name another socket path with -socket\n',
    );
  });

  test('is its owner’s alone; another process’s is respected, what one left behind is replaced', async () => {
    const at = setup();
    const daemon = await daemonOf(at);
    expect(daemon.stdout).toContain(`level=INFO msg="control socket listening" system=server path=${at.socket}\n`);
    expect(statSync(at.socket).mode & 0o777).toBe(0o600);

    const other = join(at.folder, 'other.yml');
    const database = join(at.folder, 'other.db');
    createDatabase(database);
    writeFileSync(
      other,
      `socket: {enabled: true, path: ${at.socket}, permissions: 0660}\ndbs: [{path: ${database}, replica: {path: ${at.folder}/r2}}]\n`,
    );
    const second = start(['replicate', '-config', other]);
    await second.said('msg="replicating to"');
    expect(second.stdout).toContain(
      `level=WARN msg="failed to start control server" error="socket path ${at.socket} is in use by another process.`,
    );
    expect((await second.stop()).exitCode).toBe(0);
    expect((await ask(at.socket, '/info')).body).toContain(`"pid":${daemon.child.pid},`);

    // Killed, so that its file stays.
    daemon.child.kill('SIGKILL');
    await daemon.ended;
    expect(existsSync(at.socket)).toBe(true);
    const third = start(['replicate', '-config', other]);
    await third.said('msg="control socket listening"');
    expect(statSync(at.socket).mode & 0o777).toBe(0o660);
    expect((await ask(at.socket, '/info')).body).toContain(`"pid":${third.child.pid},`);
    await third.stop();
    expect(existsSync(at.socket)).toBe(false);
  });

  test('a file in its place stays, and replication goes on', async () => {
    const at = setup();
    writeFileSync(at.socket, 'precious');
    const daemon = await daemonOf(at);
    expect(daemon.stdout).toContain(
      `msg="failed to start control server" error="socket path ${at.socket} is not a socket.`,
    );
    expect((await daemon.stop()).exitCode).toBe(0);
    expect(readFileSync(at.socket, 'utf8')).toBe('precious');
  });
});

describe('a day in the life of a daemon', () => {
  test('databases come and go over the socket', async () => {
    const at = setup();
    const daemon = await daemonOf(at);
    const command = (...args: readonly string[]): Promise<Result> =>
      run([args[0] ?? '', '-socket', at.socket, ...args.slice(1)]);

    const added = join(at.folder, 'added.db');
    const url = `file://${at.folder}/added-replica`;
    createDatabase(added, 3);
    expect(await command('register', '-replica', url, added)).toEqual({
      exitCode: 0,
      stdout: `status: registered\ndb_path: ${added}\nreplica: ${url}\nsocket: ${at.socket}\n`,
      stderr: '',
    });
    insertRows(added, 4);
    const synced = JSON.parse((await command('sync', '-wait', '-json', added)).stdout) as Record<string, unknown>;
    expect(synced).toMatchObject({ db_path: added, txid: synced['replica_txid'] });
    expect(synced['txid']).toBeGreaterThan(0);
    expect((await command('list')).stdout).toMatch(
      new RegExp(
        `^${at.database} \\[replicating\\] \\(last sync: .*\\)\n${added} \\[replicating\\] \\(last sync: 2.*Z\\)\n$`,
      ),
    );

    insertRows(added, 1);
    expect((await command('stop', added)).stdout).toMatch(
      new RegExp(`^status: stopped\ndb_path: ${added}\nstate: stopped\ntxid: \\d+\nsocket: ${at.socket}\n$`),
    );
    // Nobody follows it now: what is written is found when it is started again.
    insertRows(added, 2);
    expect(await command('sync', added)).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: `Error: sync failed: database not open: ${added}\n`,
    });
    expect((await command('start', '-json', added)).stdout).toContain('"status": "started"');
    insertRows(added, 1);
    expect((await command('unregister', added)).stdout).toMatch(/^status: unregistered\n/);
    expect((await command('unregister', added)).stdout).toContain('status: already_unregistered\n');
    expect(JSON.parse((await command('info', '-json')).stdout)).toMatchObject({
      pid: daemon.child.pid,
      database_count: 1,
    });
    const output = join(at.folder, 'restored.db');
    expect((await run(['restore', '-o', output, url])).exitCode).toBe(0);
    expect(countRows(output)).toBe(11);
    expect((await daemon.stop()).stdout).not.toMatch(/level=(WARN|ERROR)/);
  });

  test('what cannot be replicated is refused and forgotten', async () => {
    const at = setup();
    await daemonOf(at);
    const bad = join(at.folder, 'bad.db');
    writeFileSync(bad, 'this is no database, whatever its name is');
    const register = (path: string, url: string): Promise<{ status: number; body: string }> =>
      ask(at.socket, '/register', JSON.stringify({ path, replica_url: url }));
    expect(await register(bad, `file://${at.folder}/bad`)).toMatchObject({
      status: 500,
      body: expect.stringMatching(/^{"error":"failed to register database: not a SQLite database: /),
    });
    expect(await register(bad, 'nope://x')).toMatchObject({
      status: 400,
      body: expect.stringMatching(/^{"error":"invalid replica url: /),
    });
    expect(await register(join(at.folder, 'new.db'), `file://${at.replica}`)).toMatchObject({
      status: 500,
      body: expect.stringContaining('would share a replica'),
    });
    const { body } = await ask(at.socket, '/list');
    expect((JSON.parse(body) as { databases: unknown[] }).databases).toHaveLength(1);
  });

  test('tells what it is doing', async () => {
    const at = setup();
    await daemonOf(at);
    // Nobody writes, so what it did last stays what it did last.
    interface Rest {
      databases: { active?: boolean; txid?: number; elapsed_seconds?: number }[];
    }
    let last: Rest = { databases: [] };
    await until(async () => {
      last = JSON.parse((await ask(at.socket, `/debug/sync-status?path=${at.database}`)).body) as Rest;
      return last.databases[0]?.active === false && last.databases[0].txid !== undefined;
    }, 'a database at rest');
    expect(last).toEqual({
      databases: [
        {
          path: at.database,
          active: false,
          operation: 'sync',
          phase: 'update_metrics',
          started_at: expect.stringMatching(/^2.*Z$/),
          updated_at: expect.stringMatching(/^2.*Z$/),
          txid: expect.any(Number),
          last_synced_wal_offset: expect.any(Number),
          ...(last.databases[0]?.elapsed_seconds === undefined ? {} : { elapsed_seconds: expect.any(Number) }),
        },
      ],
    });

    expect((await ask(at.socket, '/debug/pprof/')).body).toContain('heapsnapshot');
    expect((await ask(at.socket, '/debug/pprof/cmdline')).body.split('\0').slice(2)).toEqual([
      'replicate',
      '-config',
      at.config,
    ]);
    expect(await ask(at.socket, '/debug/pprof/goroutine')).toMatchObject({ status: 404 });
    expect(await statusesOfTwo(at.socket, '/debug/pprof/profile?seconds=0.2')).toEqual([200, 500]);
    const profile = await ask(at.socket, '/debug/pprof/profile?seconds=0.2');
    expect(JSON.parse(profile.body)).toMatchObject({ nodes: expect.any(Array), samples: expect.any(Array) });
    const allocations = await ask(at.socket, '/debug/pprof/allocs?seconds=0.2');
    expect(JSON.parse(allocations.body)).toMatchObject({ head: expect.any(Object) });
  });
});

describe('the client', () => {
  /** A daemon that says what the test wants. */
  async function fake(answer: string | undefined): Promise<string> {
    const socket = join(scratchFolder(), 's');
    const server = createServer((connection) => {
      connection.on('error', () => undefined);
      connection.on('data', () => {
        if (answer !== undefined) connection.end(answer);
      });
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    onTestFinished(() => {
      server.close();
    });
    return socket;
  }

  const http = (status: number, body: string): string =>
    `HTTP/1.1 ${status} X\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;

  test('a daemon that is silent, strange, or beyond 2^53', async () => {
    const silent = await fake(undefined);
    expect((await run(['info', '-timeout', '1', '-socket', silent])).stderr).toBe(
      'Error: failed to connect to control socket: no answer within 1s\n',
    );
    const strange = await fake(http(200, 'hello'));
    expect((await run(['list', '-socket', strange])).stderr).toMatch(/^Error: failed to parse response: /);
    const refusing = await fake(http(503, 'go away\n'));
    expect((await run(['list', '-socket', refusing])).stderr).toBe('Error: list failed: go away\n');
    const far = await fake(http(200, '{"status":"stopped","path":"/a","txid":18446744073709551615}'));
    expect((await run(['stop', '-json', '-socket', far, '/a'])).stdout).toContain('"txid": 18446744073709551615,');
    const none = await fake(http(200, '{"databases":[]}'));
    expect((await run(['list', '-socket', none])).stdout).toBe('No databases configured\n');
    expect((await run(['list', '-json', '-socket', none])).stdout).toBe('{\n  "databases": []\n}\n');
  });
});

describe('JSON as Go writes it', () => {
  test('numbers, dates, escapes, empty lists', () => {
    const value = {
      a: 1n << 63n,
      b: '<a>&\u2028"',
      c: [],
      d: {},
      e: undefined,
      f: new Date(0),
      g: null,
      h: [true, 1.5],
    };
    const escaped = String.raw`"\u003ca\u003e\u0026\u2028\""`;
    expect(goJson(value)).toBe(
      `{"a":9223372036854775808,"b":${escaped},"c":[],"d":{},"f":"1970-01-01T00:00:00.000Z","g":null,"h":[true,1.5]}\n`,
    );
    expect(goJsonIndented({ a: [1, { b: 2 }], c: [] })).toBe(
      '{\n  "a": [\n    1,\n    {\n      "b": 2\n    }\n  ],\n  "c": []\n}\n',
    );
  });

  test('bodies', () => {
    const type = { name: 'StartRequest', fields: { path: 'string', timeout: 'int' } } as const;
    expect(decodeBody(' {"path":"/a"} {"path":"/b"} }', type)).toEqual({ path: '/a', timeout: 0 });
    expect(decodeBody('{"path":"}","Timeout":null,"x":[]} x', type)).toEqual({ path: '}', timeout: 0 });
    for (const [body, message] of [
      ['', 'EOF'],
      ['{"path":"/a', 'unexpected EOF'],
      ['@', "invalid character '@' looking for beginning of value"],
      ['{"path":true}', 'json: cannot unmarshal bool into Go struct field StartRequest.path of type string'],
      [
        '{"timeout":1e300}',
        'json: cannot unmarshal number 1e+300 into Go struct field StartRequest.timeout of type int',
      ],
    ] as const) {
      expect(() => decodeBody(body, type)).toThrow(message);
    }
  });
});

describe('status -max-lag', () => {
  test('tells cron and probes whether all is replicated', async () => {
    const at = setup();
    const status = (...flags: string[]): Promise<Result> => run(['status', '-config', at.config, ...flags]);
    const silent = await status('-max-lag', '1m');
    expect(silent).toMatchObject({ exitCode: 1, stdout: '' });
    expect(silent.stderr).toContain('Error: failed to connect to control socket');

    const daemon = await daemonOf(at);
    insertRows(at.database, 3);
    const untilAllIsFine = async (what: string): Promise<Result> => {
      let last = silent;
      await until(async () => (last = await status('-max-lag', '1m')).exitCode === 0, what);
      return last;
    };
    const fine = await untilAllIsFine('everything on the replica');
    expect(fine.stderr).toBe('');
    expect(fine.stdout).toMatch(
      /^database +status {2}local txid {8}wal size {2,}lag *\n\S+app\.db {2}ok {6}[0-9a-f]{16} {2}\S+ k?B +[\d.]+m?s *\n$/,
    );
    const rows = JSON.parse((await status('-max-lag', '1m', '-json')).stdout) as object[];
    expect(rows).toEqual([
      {
        database: at.database,
        status: 'ok',
        local_txid: expect.any(String),
        wal_size: expect.any(String),
        lag_seconds: expect.any(Number),
      },
    ]);

    // Not in the very millisecond in which it was found to be replicated.
    let late = fine;
    await until(async () => {
      late = await status('-max-lag', '1ns');
      return late.exitCode !== 0;
    }, 'a lag of more than a nanosecond');
    expect(late.exitCode).toBe(1);
    expect(late.stdout).toContain(at.database);
    expect(late.stderr).toMatch(
      /^Error: not replicated within 1ns: \S+app\.db: last replicated [\d.]+m?s ago\nTry: [^\n]+\n$/,
    );

    const other = join(at.folder, 'more.yml');
    const missing = join(at.folder, 'missing.db');
    writeFileSync(other, `dbs: [{path: ${missing}, replica: {path: ${at.folder}/r3}}]\n`);
    const unknown = await run(['status', '-config', other, '-socket', at.socket, '-max-lag', '1m']);
    expect(unknown).toMatchObject({ exitCode: 1 });
    expect(unknown.stderr).toContain(`${missing}: unknown to the daemon`);

    // Only the daemon knows it, and its file is lost.
    const registered = join(at.folder, 'registered.db');
    createDatabase(registered, 1);
    const where = `file://${at.folder}/r4`;
    expect((await run(['register', '-socket', at.socket, '-replica', where, registered])).exitCode).toBe(0);
    expect((await untilAllIsFine('both on their replicas')).stdout).toMatch(/registered\.db +ok /);
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${registered}${suffix}`, { force: true });
    const lost = await status('-max-lag', '1m');
    expect(lost).toMatchObject({ exitCode: 1, stdout: expect.stringMatching(/registered\.db +no database /) });
    expect(lost.stderr).toContain(`${registered}: there is no database file`);
    expect((await run(['unregister', '-socket', at.socket, registered])).exitCode).toBe(0);

    // Stopped by request: nobody's lag.
    expect((await run(['stop', '-socket', at.socket, at.database])).exitCode).toBe(0);
    insertRows(at.database, 1);
    const stopped = await status('-max-lag', '1ns');
    expect(stopped).toMatchObject({ exitCode: 0, stderr: '' });
    expect(stopped.stdout).toMatch(/app\.db +stopped .* - *\n$/);
    expect((await daemon.stop()).exitCode).toBe(0);
  });
});
