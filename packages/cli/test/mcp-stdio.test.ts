/** `litestream mcp`: the protocol on standard input and output, with the tools and limits of `mcp-addr`. */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { expect, onTestFinished, test } from 'vitest';
import { BIN, run, scratchFolder } from './support/cli.ts';
import { countRows, createDatabase } from './support/database.ts';

const CANARY = 'canary-environment-4417';

interface Setup {
  readonly folder: string;
  readonly database: string;
  readonly config: string;
}

async function setup(): Promise<Setup> {
  const folder = scratchFolder();
  const database = join(folder, 'app.db');
  const config = join(folder, 'litestream.yml');
  createDatabase(database, 3);
  mkdirSync(join(folder, 'restored'));
  chmodSync(join(folder, 'restored'), 0o700);
  // The unknown key causes a warning each time that a command reads the config.
  writeFileSync(
    config,
    `unknown-key: 1
mcp-output-dir: ${folder}/restored
secret-access-key: ${CANARY}
dbs: [{path: ${database}, replica: {path: ${folder}/replica}}]
`,
  );
  expect((await run(['replicate', '-once', '-config', config])).exitCode).toBe(0);
  return { folder, database, config };
}

function start(config: string, env: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, [BIN, 'mcp', '-config', config], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], LOG_LEVEL: 'debug', ...env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

const open = [
  {
    jsonrpc: '2.0',
    id: 0,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
  },
  { jsonrpc: '2.0', method: 'notifications/initialized' },
];

test('serves its tools to the official client', async () => {
  const at = await setup();
  const client = new Client({ name: 'test', version: '1' });
  const args = [BIN, 'mcp', '-config', at.config];
  await client.connect(new StdioClientTransport({ command: process.execPath, args, stderr: 'ignore' }));
  onTestFinished(() => client.close());
  const call = async (name: string, given: Record<string, unknown> = {}): Promise<string> => {
    const { content } = await client.callTool({ name: `litestream_${name}`, arguments: given });
    return content.map((each) => (each.type === 'text' ? each.text : each.type)).join('\n');
  };
  expect((await client.listTools()).tools.map(({ name }) => name).sort()).toEqual(
    ['databases', 'info', 'ltx', 'reset', 'restore', 'status', 'version'].map((name) => `litestream_${name}`),
  );
  expect(await call('databases')).toContain(at.database);
  await call('restore', { path: at.database });
  expect(countRows(join(at.folder, 'restored', 'app.db'))).toBe(3);
  // The limits are those of mcp-addr.
  expect(await call('restore', { path: at.database, o: '../elsewhere.db' })).toContain('o must be a file name');
  expect(await call('ltx', { path: `file://${at.folder}/replica` })).toContain('database not found in config');
  expect(await call('info', { config: '/etc/passwd' })).toMatch(/config/);
  expect(existsSync(join(at.folder, 'elsewhere.db'))).toBe(false);
  // A database that the config has only now is found.
  createDatabase(join(at.folder, 'new.db'));
  const { stdout } = await run(['databases', '-config', at.config]);
  expect(stdout).not.toContain('new.db');
  writeFileSync(at.config, `dbs: [{path: ${at.folder}/new.db, replica: {path: ${at.folder}/replica}}]\n`);
  expect(await call('status', { path: join(at.folder, 'new.db') })).toContain('new.db');
});

test('prints nothing but messages of the protocol, and no secret, whatever arrives', async () => {
  const at = await setup();
  const child = start(at.config, { CANARY });
  const printed = textOf(child.stdout);
  const said = textOf(child.stderr);
  const ended = new Promise((resolve) => child.once('close', resolve));
  const answered = new Promise<void>((resolve) => {
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      // In any order: tools run beside each other, and what is under way when the input ends may get no answer.
      if ([0, 1, 2, 3].every((id) => new RegExp(`"id":${id}\\b`).test(text))) resolve();
    });
  });
  const requests = [
    ...open,
    'no message at all',
    { jsonrpc: '2.0', id: 1, method: 'no/such/method' },
    { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'litestream_status', arguments: {} } },
    { jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'litestream_info', arguments: {} } },
  ];
  child.stdin.write(requests.map((each) => `${typeof each === 'string' ? each : JSON.stringify(each)}\n`).join(''));
  await answered;
  child.stdin.end();
  expect(await ended).toBe(0);
  const messages = (await printed)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { jsonrpc: string; id?: number });
  expect(messages.every(({ jsonrpc }) => jsonrpc === '2.0')).toBe(true);
  expect(new Set(messages.map(({ id }) => id))).toEqual(new Set([0, 1, 2, 3]));
  expect(await said).toContain('unknown-key');
  expect((await printed) + (await said)).not.toContain(CANARY);
});

test('ends with its client, and at a message that is too long', async () => {
  const at = await setup();
  for (const input of ['', `{"jsonrpc":"2.0","id":1,"method":"${'x'.repeat(3 << 20)}"}\n`]) {
    const child = start(at.config);
    const ended = new Promise((resolve) => child.once('close', resolve));
    // It may close its input before all of a long message was sent.
    child.stdin.on('error', () => undefined).end(input);
    child.stdout.resume();
    child.stderr.resume();
    expect(await ended).toBe(0);
  }
});

test('without a config, the error is on standard error', async () => {
  const result = await run(['mcp', '-config', '/does/not/exist.yml']);
  expect(result).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringMatching(/^Error: .*config/) });
});
