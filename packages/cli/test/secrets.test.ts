/** Canaries in every place of a config that holds a secret: whatever prints anything, none of them may come out. */
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { replicaSettings } from '../src/config/schema/schema.ts';
import { isSecretKey } from '../src/util/secrets.ts';
import { DEAD, ENVIRONMENT, REPLICAS, canary, expectNone } from './support/canaries.ts';
import { run, scratchFolder, start } from './support/cli.ts';
import type { Result } from './support/cli.ts';
import { createDatabase } from './support/database.ts';

/** Backends try for a while before they give up. */
const TIMEOUT_MS = 300_000;

test('keys of a config that hold secrets are known as such', () => {
  const secrets = Object.keys(replicaSettings).filter(isSecretKey);
  // A new key belongs into one of the two lists: whoever adds one decides which.
  expect(secrets.sort()).toEqual(
    [
      'access-key-id',
      'secret-access-key',
      'sse-customer-key',
      'account-key',
      'sas-token',
      'password',
      'webdav-password',
      'jwt',
      'seed',
      'nkey',
      'token',
    ].sort(),
  );
  expect(Object.keys(replicaSettings)).toHaveLength(49);
  for (const key of ['session-token', 'connection-string', 'key-passphrase', 'api-key-secret']) {
    expect(isSecretKey(key), key).toBe(true);
  }
});

interface Setup {
  readonly folder: string;
  readonly config: string;
  readonly socket: string;
  readonly databases: readonly string[];
}

function setup(type: string): Setup {
  const folder = scratchFolder();
  const config = join(folder, 'litestream.yml');
  const socket = join(folder, 's.sock');
  const databases: string[] = [];
  const entries = Object.values(REPLICAS)
    .flat()
    .map((replica, index) => {
      const path = join(folder, `app-${index}.db`);
      createDatabase(path);
      databases.push(path);
      return `  - {path: ${path}, replica: ${replica}}\n`;
    });
  writeFileSync(
    config,
    `addr: 127.0.0.1:0
mcp-addr: unix://${folder}/mcp.sock
mcp-output-dir: ${folder}
socket: {enabled: true, path: ${socket}}
logging: {level: trace, type: ${type}}
heartbeat-url: http://${DEAD}/${canary('heartbeat')}
shutdown-sync-timeout: 0s
secret-acess-key: ${canary('misspelt')}
dbs:
${entries.join('')}`,
  );
  return { folder, config, socket, databases };
}

const printedBy = ({ stdout, stderr }: Result): string => `${stdout}\n${stderr}`;

test.each(['text', 'json', 'pretty'])(
  'a daemon that reaches no backend, logging %s at trace',
  { timeout: TIMEOUT_MS },
  async (type) => {
    const at = setup(type);
    const daemon = start(['replicate', '-config', at.config], { env: ENVIRONMENT });
    await daemon.said('serving metrics on');
    const url = /(http:\/\/[^/\s"]+)\/metrics/.exec(daemon.stdout)?.[1] ?? '';
    interface Status {
      databases: { error: string | null; replicas: { error: string | null }[] }[];
    }
    const allFailed = async (): Promise<boolean> => {
      const { databases } = (await (await fetch(`${url}/api/status`)).json()) as Status;
      return databases.every(({ error, replicas }) => error !== null || replicas.some((each) => each.error !== null));
    };
    await expect.poll(allFailed, { timeout: 240_000, interval: 100 }).toBe(true);
    for (const path of ['/', '/api/status', '/metrics', '/readyz', `/api/files?path=${at.databases[0]}`]) {
      expectNone(path, await (await fetch(`${url}${path}`)).text());
    }
    for (const path of ['/list', '/info', '/debug/sync-status', '/txid?path=/x']) {
      expectNone(path, await askSocket(at.socket, path));
    }
    // What commands print does not depend on the format of the daemon's log.
    if (type === 'text') {
      await askCommands(at);
      await askTools(at);
    }
    daemon.child.kill('SIGHUP');
    await daemon.said('config reloaded');
    daemon.child.kill('SIGTERM');
    const ended = await daemon.ended;
    // The last sync reached nothing either.
    expect(ended.exitCode).toBe(1);
    expectNone('the log', printedBy(ended));
  },
);

async function askTools(at: Setup): Promise<void> {
  const socketPath = join(at.folder, 'mcp.sock');
  const call = async (name: string, args: object): Promise<void> => {
    const params = { name: `litestream_${name}`, arguments: args };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
    const answer = await askSocket(socketPath, '/', body);
    expect(answer, name).toMatch(/"result"/);
    expectNone(`the tool ${name} ${JSON.stringify(args)}`, answer);
  };
  // Only the first of each backend, since each is retried until the command gives up.
  const counts = Object.values(REPLICAS).map((replicas) => replicas.length);
  const firsts = counts.map((_, index) => counts.slice(0, index).reduce((sum, count) => sum + count, 0));
  const paths = firsts.flatMap((index) => at.databases[index] ?? []);
  await Promise.all([
    call('databases', {}),
    call('status', {}),
    call('restore', { path: paths[0], o: 'restored.db' }),
    ...paths.map((path) => call('ltx', { path })),
  ]);
}

async function askCommands(at: Setup): Promise<void> {
  const secretUrl = `sftp://u:${canary('registered')}@${DEAD}/p`;
  const socket = ['-socket', at.socket];
  for (const args of [
    ['register', ...socket, '-replica', secretUrl, join(at.folder, 'more.db')],
    ['register', ...socket, '-replica', `nowhere://u:${canary('registered')}@h/p`, join(at.folder, 'other.db')],
    ['list', ...socket],
    ['sync', ...socket, '-wait', '-timeout', '1', at.databases[0] ?? ''],
  ]) {
    expectNone(args.join(' '), printedBy(await run(args, { env: ENVIRONMENT })));
  }
}

test('commands, and errors about configs', { timeout: TIMEOUT_MS }, async () => {
  const at = setup('text');
  const bad = join(at.folder, 'bad.yml');
  const first = at.databases[0] ?? '';
  const replicate = ['replicate', '-once', '-config', bad];
  const secret = canary('bad');
  const mistakes = [
    `heartbeat-url: hc-ping.com/${secret}\n`,
    `heartbeat-url: ftp://u:${secret}@h/${secret}\n`,
    `secret-access-key: [${secret}]\n`,
    `secret-access-key: "${secret}\n`,
    `dbs: [{path: ${first}, replica: {type: s3, secret-access-key: ${secret}, sync-interval: soon}}]\n`,
    `dbs: [{path: ${first}, replica: {path: 's3://u:${secret}@b/p'}}]\n`,
    `dbs: [{path: ${first}, replica: {url: 'nowhere://u:${secret}@b/p'}}]\n`,
    `dbs: [{path: ${first}, replica: {url: 'sftp://u:${secret}@:port/p'}}]\n`,
    `dbs: [{path: ${first}, replica: {url: 'file://u:${secret}@h/%zz'}}]\n`,
    `dbs: [{path: ${first}, replica: {url: 's3://u:${secret}@b/p', bucket: c}}]\n`,
    `dbs: [{path: ${first}, replcia: {url: 's3://u:${secret}@b/p', secret-access-key: ${secret}}}]\n`,
  ];
  for (const mistake of mistakes) {
    writeFileSync(bad, mistake);
    const result = await run(replicate, { env: { ...ENVIRONMENT, LOG_LEVEL: 'trace' } });
    expect(result.exitCode).toBe(1);
    expectNone(mistake, printedBy(result));
  }
  const config = ['-config', at.config];
  for (const args of [
    ['databases', ...config],
    ['databases', '-json', ...config],
    ['status', ...config],
    ['status', '-json', ...config],
    ['plugins', ...config],
    ['reset', '-dry-run', ...config, first],
    ['restore', '-dry-run', ...config, first],
    ['ltx', `sftp://u:${canary('ltx')}@${DEAD}/p`],
    ['ltx', `file://u:${canary('ltx')}@h/p`],
    ['restore', '-dry-run', '-o', join(at.folder, 'x'), `webdav://u:${canary('restore')}@${DEAD}/p`],
    ['copy', `nats://${canary('copy')}@${DEAD}/b`, `file://${at.folder}/copy`],
  ]) {
    expectNone(args.join(' '), printedBy(await run(args, { env: { ...ENVIRONMENT, LOG_LEVEL: 'trace' } })));
  }
});

function askSocket(socketPath: string, path: string, body?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const method = body === undefined ? 'GET' : 'POST';
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    request({ socketPath, path, method, headers }, (response) => void text(response).then(resolve, reject))
      .once('error', reject)
      .end(body);
  });
}
