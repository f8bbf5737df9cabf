import { appendFileSync, chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { countRows, createDatabase, insertRows } from './support/database.ts';
import { scratchFolder, start, until } from './support/cli.ts';
import type { Cli } from './support/cli.ts';
import { hasFiles } from './support/replica.ts';

const CANARY = 'canary-account-key-8714';
const TOKEN = 'a-token-of-the-tests-7c1f';
const AUTHORIZATION = { authorization: `Bearer ${TOKEN}` };

interface Setup {
  readonly folder: string;
  readonly database: string;
  readonly config: string;
  readonly daemon: Cli;
  readonly url: string;
}

async function setup(addr = '127.0.0.1:0', extra = ''): Promise<Setup> {
  const folder = scratchFolder();
  const database = join(folder, 'app.db');
  const config = join(folder, 'litestream.yml');
  createDatabase(database, 3);
  chmodSync(folder, 0o700);
  writeFileSync(
    config,
    `${extra}mcp-addr: "${addr}"
mcp-token: ${TOKEN}
mcp-output-dir: ${folder}
secret-access-key: ${CANARY}
dbs:
  - path: ${database}
    replica: {path: ${folder}/replica, sync-interval: 20ms}
`,
  );
  const daemon = start(['replicate', '-config', config]);
  const said = /msg="Starting MCP Streamable HTTP server" addr=(\S+)\n/;
  await daemon.said(said);
  const url = `http://${said.exec(daemon.stdout)?.[1]}/`;
  return { folder, database, config, daemon, url };
}

async function clientOf(url: string): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: AUTHORIZATION } }));
  onTestFinished(() => client.close());
  return client;
}

async function call(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
): Promise<{ readonly isError: boolean; readonly text: string }> {
  const result = await client.callTool({ name: `litestream_${name}`, arguments: args });
  const text = result.content.map((each) => (each.type === 'text' ? each.text : each.type)).join('');
  expect(text).not.toContain(CANARY);
  return { isError: result.isError === true, text };
}

/** The status of a request under another name, or from a page of another site. */
function ask(url: string, headers: Record<string, string>, method = 'POST', path = '/'): Promise<number> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
  return new Promise((resolve, reject) => {
    const all = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...AUTHORIZATION,
      ...headers,
    };
    request(new URL(path, url), { method, headers: all }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .once('error', reject)
      .end(method === 'POST' ? body : undefined);
  });
}

describe('mcp-addr', () => {
  test('serves the tools of upstream to the official client', async () => {
    const at = await setup();
    const client = await clientOf(at.url);
    const { tools } = await client.listTools();
    const inputs = tools.map(({ name, inputSchema }) => [
      name.replace('litestream_', ''),
      Object.keys(inputSchema.properties ?? {})
        .sort()
        .join(' '),
      (inputSchema.required ?? []).join(' '),
    ]);
    expect(inputs.sort(([a = ''], [b = '']) => a.localeCompare(b))).toEqual([
      ['databases', '', ''],
      ['info', '', ''],
      ['ltx', 'path', 'path'],
      ['reset', 'path', 'path'],
      ['restore', 'if_db_not_exists if_replica_exists o parallelism path timestamp txid', 'path'],
      ['status', 'path', ''],
      ['version', '', ''],
    ]);

    await until(() => hasFiles(join(at.folder, 'replica')), 'files on the replica');
    expect(await call(client, 'version')).toEqual({ isError: false, text: expect.stringMatching(/^\S+\n$/) });
    expect((await call(client, 'databases')).text).toMatch(/^path +replicas?\n\S+app\.db +file/);
    expect((await call(client, 'status', { path: at.database })).text).toMatch(/app\.db +ok +[0-9a-f]{16}/);
    expect((await call(client, 'ltx', { path: at.database })).text).toMatch(/\n0 +[0-9a-f]{16}/);
    const { text } = await call(client, 'info');
    expect(text).toContain('=== Litestream Status Report ===');
    expect(text).toContain(`Current Config Path:\n${at.config}\n`);
    expect(text).toMatch(new RegExp(`Database: ${at.database}\n.*level`));

    const output = join(at.folder, 'restored.db');
    expect((await call(client, 'restore', { path: at.database, o: output })).isError).toBe(false);
    expect(countRows(output)).toBe(3);
    const again = await call(client, 'restore', { path: at.database, o: output });
    expect(again).toMatchObject({ isError: true, text: expect.stringMatching(/exists/) });
    // What only a command line can do is no advice to whoever has tools.
    expect(again.text).not.toMatch(/-force|exit status/);
    const excused = { path: at.database, o: output, if_db_not_exists: true };
    expect((await call(client, 'restore', excused)).isError).toBe(false);

    // Under a daemon that runs: it heals what was taken from it.
    expect((await call(client, 'reset', { path: at.database })).text).toContain('Reset complete');
    insertRows(at.database, 2);
    await until(async () => {
      const o = join(at.folder, `later-${Math.random().toString(36).slice(2)}.db`);
      return !(await call(client, 'restore', { path: at.database, o })).isError && countRows(o) === 5;
    }, 'the rows on the replica');
    expect((await at.daemon.stop()).exitCode).toBe(0);
  });

  test('answers are data alone, warnings stand apart, and databases of a folder have their files listed', async () => {
    const at = await setup(undefined, 'adr: x\n');
    const client = await clientOf(at.url);
    const nested = join(at.folder, 'multi', 't1.db');
    mkdirSync(join(at.folder, 'multi'));
    createDatabase(nested, 2);
    appendFileSync(at.config, `  - {dir: ${at.folder}/multi, pattern: "*.db", replica: {path: ${at.folder}/r2}}\n`);
    at.daemon.child.kill('SIGHUP');
    // The tools know the new databases last.
    await at.daemon.said('msg="config reloaded"');
    await until(() => hasFiles(join(at.folder, 'r2', 't1.db')), 'files of the folder on the replica');
    const warning = `Warning: ${at.config}:1:1: unknown key adr: did you mean addr?`;
    for (const [name, args, data] of [
      ['info', {}, new RegExp(`Database: ${nested}\nlevel.*\n0 +0{15}1`)],
      ['databases', {}, /^path .*\n\S+app\.db +file *\n\S+t1\.db +file *\n$/],
      ['ltx', { path: nested }, /^level .*\n0 +0{15}1/],
      ['status', { path: nested }, /^database .*\n\S+t1\.db +ok /],
    ] as const) {
      const { content, isError } = await client.callTool({ name: `litestream_${name}`, arguments: args });
      expect({ name, isError: isError === true, content }).toEqual({
        name,
        isError: false,
        content: [
          { type: 'text', text: expect.stringMatching(data) },
          { type: 'text', text: warning },
        ],
      });
    }
    const unknown = await call(client, 'ltx', { path: '/x.db' });
    expect(unknown.text).toBe(
      'Error: database not found in config: /x.db. litestream_databases lists the databases of the config.',
    );
  });

  test('bad arguments are errors of the tool, and reach no shell and no flag', async () => {
    const at = await setup();
    const client = await clientOf(at.url);
    const mark = join(at.folder, 'mark');
    for (const [name, args, reason] of [
      ['ltx', {}, /path/],
      ['ltx', { path: 7 }, /path/],
      ['ltx', { path: '-config=/etc/passwd' }, /must not begin with -/],
      ['restore', { path: at.database, outptu: '/x' }, /outptu/],
      ['restore', { path: at.database, o: join(at.folder, 'x'), txid: 'zz' }, /txid/],
      ['restore', { path: at.database, o: join(at.folder, 'x'), timestamp: 'soon' }, /timestamp/],
      ['reset', { path: `$(touch ${mark})` }, /not found in config/],
      ['reset', { path: `x; touch ${mark}` }, /not found in config/],
      ['status', { config: '/no/such/file.yml' }, /config/],
      ['ltx', { path: join(at.folder, 'unknown.db') }, /database not found in config/],
    ] as const) {
      const result = await call(client, name, args);
      expect(result).toMatchObject({ isError: true, text: expect.stringMatching(reason) });
    }
    expect(existsSync(mark)).toBe(false);
    await expect(client.callTool({ name: 'litestream_nothing', arguments: {} })).rejects.toThrow(/litestream_nothing/);
  });

  test('only this machine is served, and only under its own names', async () => {
    const at = await setup(':0');
    const { port } = new URL(at.url);
    expect(at.url).toBe(`http://127.0.0.1:${port}/`);
    expect(await ask(at.url, { host: 'localhost' })).toBe(200);
    expect(await ask(at.url, { host: `evil.example:${port}` })).toBe(403);
    expect(await ask(at.url, { origin: 'http://evil.example' })).toBe(403);
    expect(await ask(at.url, { origin: 'null' })).toBe(403);
    expect(await ask(at.url, {}, 'POST', '/elsewhere')).toBe(404);
    expect(await ask(at.url, {}, 'GET')).toBe(405);
  });

  test('without the package of the protocol, what to install is in the log, and replication goes on', async () => {
    const folder = scratchFolder();
    const database = join(folder, 'app.db');
    createDatabase(database);
    const config = join(folder, 'litestream.yml');
    writeFileSync(
      config,
      `mcp-addr: 127.0.0.1:0\nmcp-token: ${TOKEN}\ndbs: [{path: ${database}, replica: {path: ${join(folder, 'replica')}}}]\n`,
    );
    // A machine on which it is not installed, as far as the process can tell.
    const hooks = join(folder, 'hooks.mjs');
    writeFileSync(
      hooks,
      `import { registerHooks } from 'node:module';
      registerHooks({
        resolve(specifier, context, next) {
          if (!specifier.startsWith('@modelcontextprotocol/')) return next(specifier, context);
          throw Object.assign(new Error('Cannot find package ' + specifier), { code: 'ERR_MODULE_NOT_FOUND' });
        },
      });`,
    );
    const daemon = start(['replicate', '-config', config], { env: { NODE_OPTIONS: `--import ${hooks}` } });
    await daemon.said('msg="MCP server error"');
    expect(daemon.stdout).toContain(
      'error="mcp-addr needs the package @modelcontextprotocol/server, which is not installed. Run: npm i @modelcontextprotocol/server@2',
    );
    await until(() => hasFiles(join(folder, 'replica')), 'a file on the replica');
    expect((await daemon.stop()).exitCode).toBe(0);
  });

  test('an address that is taken does not keep anything from being replicated', async () => {
    const at = await setup();
    const config = join(at.folder, 'other.yml');
    const database = join(at.folder, 'other.db');
    createDatabase(database, 2);
    writeFileSync(
      config,
      `mcp-addr: ${new URL(at.url).host}\nmcp-token: ${TOKEN}\ndbs: [{path: ${database}, replica: {path: ${at.folder}/r2}}]\n`,
    );
    const other = start(['replicate', '-config', config]);
    await other.said(
      /level=ERROR msg="MCP server error" addr=\S+ error="127\.0\.0\.1:\d+ is in use by another process\./,
    );
    await until(() => hasFiles(join(at.folder, 'r2')), 'files on the replica');
    expect((await other.stop()).exitCode).toBe(0);
  });
});
