/** What a client of `mcp-addr` cannot do: attacks that worked while there were no tokens, and requests could name a config. */
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { run, scratchFolder, start, until } from './support/cli.ts';
import type { Cli } from './support/cli.ts';
import { countRows, createDatabase } from './support/database.ts';
import { hasFiles } from './support/replica.ts';
import { httpServer } from '../../../tests/support/http-server.ts';

const TOKEN = 'a-token-of-the-tests-7c1f';
const CANARY = 'canary-environment-5521';

interface Setup {
  readonly folder: string;
  readonly database: string;
  readonly output: string;
  readonly daemon: Cli;
  readonly target: Target;
}

type Target = { readonly url: string } | { readonly socketPath: string };

async function setup(keys: readonly string[]): Promise<Setup> {
  const folder = scratchFolder();
  const database = join(folder, 'app.db');
  const output = join(folder, 'restored');
  mkdirSync(output);
  createDatabase(database, 3);
  const config = join(folder, 'litestream.yml');
  writeFileSync(
    config,
    `${keys.map((each) => each.replaceAll('$ROOT', folder)).join('\n')}
dbs: [{path: ${database}, replica: {path: ${folder}/replica, sync-interval: 20ms}}]
`,
  );
  const daemon = start(['replicate', '-config', config], { env: { CANARY } });
  const said = /msg="Starting MCP Streamable HTTP server" addr=(\S+)\n/;
  await daemon.said(said);
  const addr = said.exec(daemon.stdout)?.[1] ?? '';
  const target = addr.startsWith('unix://') ? { socketPath: addr.slice('unix://'.length) } : { url: `http://${addr}/` };
  await until(() => hasFiles(join(folder, 'replica')), 'files on the replica');
  return { folder, database, output, daemon, target };
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

function post(target: Target, body: object, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const options = {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
  };
  const done = (response: IncomingMessage): void => {
    void textOf(response).then((text) => resolve({ status: response.statusCode ?? 0, body: text }), reject);
  };
  const outgoing =
    'url' in target
      ? request(target.url, options, done)
      : request({ ...options, socketPath: target.socketPath, path: '/' }, done);
  outgoing.once('error', reject).end(JSON.stringify(body));
  return promise;
}

const bearer = { authorization: `Bearer ${TOKEN}` };

/** The text of a tool's answer. */
async function call(target: Target, name: string, args: object): Promise<string> {
  const params = { name: `litestream_${name}`, arguments: args };
  const { status, body } = await post(target, { jsonrpc: '2.0', id: 1, method: 'tools/call', params }, bearer);
  expect(status, body).toBe(200);
  return body;
}

describe('who may ask', () => {
  test('an address without a token is not served, one line says what to set, and replication goes on', async () => {
    const folder = scratchFolder();
    const database = join(folder, 'app.db');
    createDatabase(database);
    const config = join(folder, 'litestream.yml');
    writeFileSync(config, `mcp-addr: ":0"\ndbs: [{path: ${database}, replica: {path: ${join(folder, 'replica')}}}]\n`);
    const daemon = start(['replicate', '-config', config]);
    await daemon.said('msg="MCP server error"');
    const lines = daemon.stdout.split('\n').filter((line) => line.includes('MCP'));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('Set mcp-token');
    await until(() => hasFiles(join(folder, 'replica')), 'a file on the replica');
    expect((await daemon.stop()).exitCode).toBe(0);
  });

  test('over TCP only requests that show the token are answered', async () => {
    const { target, daemon } = await setup(['mcp-addr: 127.0.0.1:0', `mcp-token: ${TOKEN}`]);
    const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'litestream_info', arguments: {} } };
    for (const authorization of [
      undefined,
      'Bearer',
      'Bearer x',
      `Bearer ${TOKEN}x`,
      `Bearer ${TOKEN.slice(0, -1)}`,
      TOKEN,
    ]) {
      const answer = await post(target, body, authorization === undefined ? {} : { authorization });
      expect(answer.status, authorization).toBe(401);
      expect(answer.body).not.toContain('app.db');
    }
    expect((await post(target, body, bearer)).status).toBe(200);
    expect((await daemon.stop()).stdout).not.toContain(TOKEN);
  });

  test('a token comes from the environment, and one that is empty or short is refused', async () => {
    const folder = scratchFolder();
    const config = join(folder, 'litestream.yml');
    for (const [env, reason] of [
      [{}, /mcp-token is empty/],
      [{ MCP_TOKEN: 'short-s3cret' }, /mcp-token is too short/],
    ] as const) {
      writeFileSync(config, `mcp-addr: ":0"\nmcp-token: \${MCP_TOKEN}\ndbs: []\n`);
      const result = await run(['replicate', '-config', config], { env });
      expect(result.stderr).toMatch(reason);
      expect(`${result.stdout}${result.stderr}`).not.toContain('short-s3cret');
      expect(result.exitCode).toBe(1);
    }
  });

  test('a Unix socket is open to its user alone, and needs no token', async () => {
    const { target } = await setup(['mcp-addr: unix://$ROOT/mcp.sock']);
    const socketPath = 'socketPath' in target ? target.socketPath : '';
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
    expect(await call(target, 'databases', {})).toContain('app.db');
  });
});

describe('what a request may bring', () => {
  const keys = ['mcp-addr: unix://$ROOT/mcp.sock', 'mcp-output-dir: $ROOT/restored'];

  test('no config: neither its plugins run nor its variables are expanded', async () => {
    const at = await setup(keys);
    const mark = join(at.folder, 'mark');
    const plugin = join(at.folder, 'evil.mjs');
    writeFileSync(plugin, `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(mark)}, 'ran');`);
    const config = join(at.folder, 'evil.yml');
    writeFileSync(
      config,
      `plugins: [${plugin}]\ndbs: [{path: "/tmp/\${CANARY}.db", replica: {path: ${at.folder}/r2}}]\n`,
    );
    for (const [name, args] of [
      ['info', { config }],
      ['databases', { config }],
      ['status', { config }],
      ['ltx', { config, path: at.database }],
      ['restore', { config, path: at.database }],
      ['reset', { config, path: at.database }],
    ] as const) {
      const answer = await call(at.target, name, args);
      expect(answer, name).toMatch(/"isError":true/);
      expect(answer, name).not.toContain(CANARY);
    }
    expect(existsSync(mark)).toBe(false);
  });

  test('no replica: its endpoint is never asked', async () => {
    const at = await setup(keys);
    let asked = 0;
    const server = httpServer((_, response) => {
      asked += 1;
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    for (const path of [
      `s3://bucket/app?endpoint=${endpoint}`,
      `webdav://${endpoint.slice(7)}/app`,
      `file://${at.folder}/replica`,
    ]) {
      expect(await call(at.target, 'ltx', { path })).toMatch(/database not found in config/);
      expect(await call(at.target, 'restore', { path, o: 'x.db' })).toMatch(/database not found in config/);
    }
    expect(asked).toBe(0);
  });

  test('no database that the config does not have: its local state stays', async () => {
    const at = await setup(keys);
    const other = join(at.folder, 'other.db');
    createDatabase(other);
    const state = join(at.folder, '.other.db-litestream', 'ltx', '0');
    mkdirSync(state, { recursive: true });
    for (const name of ['reset', 'status', 'ltx', 'restore']) {
      expect(await call(at.target, name, { path: other }), name).toMatch(/database not found in config/);
    }
    expect(existsSync(state)).toBe(true);
  });
});

describe('where restore writes', () => {
  const keys = ['mcp-addr: unix://$ROOT/mcp.sock', 'mcp-output-dir: $ROOT/restored'];

  test('into the folder of the config, by default under the name of the database', async () => {
    const at = await setup(keys);
    expect(await call(at.target, 'restore', { path: at.database })).not.toMatch(/"isError":true/);
    expect(countRows(join(at.output, 'app.db'))).toBe(3);
    const named = join(at.output, 'named.db');
    expect(await call(at.target, 'restore', { path: at.database, o: named })).not.toMatch(/"isError":true/);
    expect(countRows(named)).toBe(3);
  });

  test('nowhere else, through no link, and over nothing that exists', async () => {
    const at = await setup(keys);
    const victim = join(at.folder, 'victim');
    symlinkSync(victim, join(at.output, 'link.db'));
    symlinkSync(at.folder, join(at.output, 'folder'));
    mkdirSync(join(at.output, 'below'));
    writeFileSync(join(at.output, 'there.db'), 'precious');
    const elsewhere = [
      victim,
      '../victim',
      'folder/victim',
      'below/victim',
      '.hidden',
      '..',
      '.',
      'app.db-wal',
      '/etc/x',
      'link.db',
    ];
    for (const o of elsewhere) {
      expect(await call(at.target, 'restore', { path: at.database, o }), o).toMatch(/o must be a file name/);
    }
    expect(await call(at.target, 'restore', { path: at.database, o: 'there.db' })).toMatch(/"isError":true/);
    expect(existsSync(victim)).toBe(false);
    expect(statSync(join(at.output, 'there.db')).size).toBe('precious'.length);
  });

  test('not at all without a folder in the config, or into one that others can write to', async () => {
    const without = await setup(keys.slice(0, 1));
    expect(await call(without.target, 'restore', { path: without.database, o: 'x.db' })).toMatch(/Set mcp-output-dir/);
    const open = await setup(keys);
    // Who can write to a folder above can put a link in the place of this one.
    for (const path of [open.output, open.folder]) {
      chmodSync(path, 0o777);
      expect(await call(open.target, 'restore', { path: open.database })).toMatch(
        new RegExp(`cannot be trusted: all users can write to ${path}\\b`),
      );
      chmodSync(path, 0o700);
    }
    expect(existsSync(join(open.output, 'app.db'))).toBe(false);
  });
});
