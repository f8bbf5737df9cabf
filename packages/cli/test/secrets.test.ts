/** Canaries in every place of a config that holds a secret: whatever prints anything, none of them may come out. */
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { replicaSettings } from '../src/config/schema.ts';
import { isSecretKey } from '../src/secrets.ts';
import { run, scratchFolder, start } from './support/cli.ts';
import type { Result } from './support/cli.ts';
import { createDatabase } from './support/database.ts';

const MARK = 'canary';
/** In base64 and hex alphabets too, so that backends take them for keys. */
const canary = (name: string): string => `${MARK}${Buffer.from(name).toString('hex')}${MARK}`;

/** Has to be base64 as a whole. */
const AZURE_KEY = Buffer.from(canary('abs')).toString('base64');

/** Backends try for a while before they give up. */
const TIMEOUT_MS = 300_000;

/** Nobody answers here. */
const DEAD = '127.0.0.1:9';

/** Every backend, with its secrets in keys and, where it may have them, in its URL. */
const REPLICAS: Readonly<Record<string, readonly string[]>> = {
  s3: [
    `{type: s3, bucket: b, path: p, region: r, endpoint: 'http://${DEAD}', access-key-id: ${canary('s3-id')}, secret-access-key: ${canary('s3-key')}, session-token: ${canary('s3-token')}}`,
    `{url: 's3://b/p?endpoint=http%3A%2F%2F${DEAD}&region=r&accessKeyId=${canary('url-id')}&secretAccessKey=${canary('url-key')}', access-key-id: ${canary('s3-id')}, secret-access-key: $S3_CANARY}`,
  ],
  abs: [
    `{type: abs, bucket: b, path: p, account-name: a, account-key: ${AZURE_KEY}, endpoint: 'http://${DEAD}'}`,
    `{type: abs, bucket: b, path: q, account-name: a, sas-token: 'sv=1&sig=${canary('sas')}', endpoint: 'http://${DEAD}'}`,
    `{type: abs, bucket: b, path: r, connection-string: 'BlobEndpoint=http://${DEAD}/a;AccountName=a;AccountKey=${canary('connection')}'}`,
  ],
  oss: [
    `{type: oss, bucket: b, path: p, region: r, endpoint: 'http://${DEAD}', access-key-id: ${canary('oss-id')}, secret-access-key: ${canary('oss-key')}, session-token: ${canary('oss-token')}}`,
  ],
  sftp: [
    `{type: sftp, host: '${DEAD}', user: u, path: /p, password: ${canary('sftp')}}`,
    `{url: 'sftp://u:${canary('sftp-url')}@${DEAD}/p'}`,
  ],
  webdav: [
    `{type: webdav, webdav-url: 'http://${DEAD}', webdav-username: u, webdav-password: ${canary('dav')}, path: p}`,
    `{url: 'webdav://u:${canary('dav-url')}@${DEAD}/p'}`,
  ],
  nats: [
    `{type: nats, url: 'nats://${DEAD}/b', username: u, password: ${canary('nats')}}`,
    `{url: 'nats://${canary('nats-token')}@${DEAD}/c'}`,
    `{url: 'nats://u:${canary('nats-url')}@${DEAD}/d'}`,
  ],
};

const ENVIRONMENT = {
  S3_CANARY: canary('expanded'),
  AWS_SECRET_ACCESS_KEY: canary('aws'),
  LITESTREAM_AZURE_ACCOUNT_KEY: canary('azure'),
  OSS_ACCESS_KEY_SECRET: canary('oss-env'),
};

function expectNone(what: string, printed: string): void {
  const at = printed.indexOf(MARK);
  expect(at === -1 ? '' : printed.slice(Math.max(0, at - 200), at + 100), what).toBe('');
  expect(printed, what).not.toContain(AZURE_KEY);
}

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
  expect(Object.keys(replicaSettings)).toHaveLength(47);
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
    if (type === 'text') await askCommands(at);
    daemon.child.kill('SIGHUP');
    await daemon.said('config reloaded');
    daemon.child.kill('SIGTERM');
    const ended = await daemon.ended;
    // The last sync reached nothing either.
    expect(ended.exitCode).toBe(1);
    expectNone('the log', printedBy(ended));
  },
);

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

function askSocket(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path }, (response) => void text(response).then(resolve, reject))
      .once('error', reject)
      .end();
  });
}
