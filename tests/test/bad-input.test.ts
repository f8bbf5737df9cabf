/**
 * What people get wrong about a bucket, through the real command line: each is a clear error with the next step, and
 * replication goes on by itself once it is mended. No credential ever shows.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer, request as ask } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { S3TestServer } from '../../packages/client-s3/test/s3-server.ts';
import { Child } from '../support/child.ts';
import { ourProgram } from '../support/programs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/wait.ts';

// Each case starts a handful of processes, one after the other.
vi.setConfig({ testTimeout: 240_000 });

const CANARIES = ['canary-secret-key-5d1f', 'canary-session-token-77aa', 'canary-proxy-password-90ee'];
const [SECRET = '', TOKEN = '', PROXY_PASSWORD = ''] = CANARIES;

let server: S3TestServer;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let database: string;
let app: DatabaseSync;
const children: Child[] = [];

beforeEach(async () => {
  server = await S3TestServer.start();
  server.secretAccessKey = SECRET;
  folder = await temporaryFolder('bad-input');
  database = join(folder.path, 'app.db');
  app = new DatabaseSync(database, { timeout: 10_000 });
  app.exec('PRAGMA journal_mode = WAL; CREATE TABLE notes (id INTEGER PRIMARY KEY, text)');
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    await child.kill();
    for (const canary of CANARIES) assert.ok(!child.output.includes(canary), `${canary} shows:\n${child.output}`);
  }
  app.close();
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

interface Changes {
  readonly replica?: Readonly<Record<string, unknown>>;
  readonly top?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}

async function writeConfig({ replica = {}, top = {} }: Changes): Promise<string> {
  const file = join(folder.path, 'litestream.yml');
  const settings = {
    type: 's3',
    bucket: 'litestream',
    path: 'app',
    endpoint: server.endpoint,
    region: 'us-east-1',
    'access-key-id': server.accessKeyId,
    'secret-access-key': SECRET,
    'force-path-style': true,
    'sync-interval': '50ms',
    ...replica,
  };
  await writeFile(
    file,
    JSON.stringify({ logging: { level: 'debug' }, ...top, dbs: [{ path: database, replica: settings }] }),
  );
  return file;
}

async function start(command: readonly string[], changes: Changes = {}): Promise<Child> {
  const config = await writeConfig(changes);
  const bare = { PATH: process.env['PATH'], HOME: folder.path, AWS_EC2_METADATA_DISABLED: 'true' };
  const [name = '', ...rest] = command;
  const child = new Child(name, process.execPath, [ourProgram, name, '-config', config, ...rest], {
    env: { ...bare, ...changes.env },
  });
  children.push(child);
  return child;
}

/** What `litestream ltx` says of it, on its way out. */
async function refused(changes: Changes = {}): Promise<string> {
  const child = await start(['ltx', database], changes);
  const { code } = await child.exited;
  expect(code, child.output).toBe(1);
  return child.stderr;
}

function insert(text: string): void {
  app.prepare('INSERT INTO notes (text) VALUES (?)').run(text);
}

/** Waits until a restored copy equals the source. */
async function level(changes: Changes = {}): Promise<void> {
  const rows = (from: DatabaseSync): unknown => from.prepare('SELECT * FROM notes ORDER BY id').all();
  const expected = JSON.stringify(rows(app));
  let number = 0;
  await until(
    'a copy that equals the source',
    async () => {
      const output = join(folder.path, `copy-${number++}.db`);
      const child = await start(['restore', '-o', output, database], changes);
      const { code } = await child.exited;
      if (code !== 0) return false;
      using copy = new DatabaseSync(output, { readOnly: true });
      return JSON.stringify(rows(copy)) === expected;
    },
    { timeoutMs: 90_000, intervalMs: 500 },
  );
}

const uploads = (): number => server.keys().filter((key) => key.startsWith('app/0000/')).length;

/** Replicates, breaks it, waits for the word in the log, mends it, and expects the copy to be level again. */
async function breaksAndMends(
  breakIt: () => void,
  says: RegExp,
  mend: () => void,
  changes: Changes = {},
): Promise<void> {
  const daemon = await start(['replicate'], changes);
  const failed = (): string | undefined => (daemon.exit === undefined ? undefined : daemon.output);
  insert('before');
  await until('the first file', () => uploads() > 0, { failed });
  breakIt();
  insert('while broken');
  await until(`${String(says)} in the log`, () => says.test(daemon.output), { failed, timeoutMs: 90_000 }).catch(
    (error: unknown) => {
      throw new Error(daemon.output, { cause: error });
    },
  );
  mend();
  insert('after');
  await level(changes);
  assert.equal(daemon.exit, undefined, daemon.output);
}

describe('a bucket that cannot be used', () => {
  test.each<[string, Changes, RegExp]>([
    ['an unknown key', { replica: { 'access-key-id': 'nobody' } }, /InvalidAccessKeyId.*Check access-key-id/],
    ['a wrong secret', { replica: { 'secret-access-key': TOKEN } }, /SignatureDoesNotMatch.*secret-access-key/],
    ['a wrong region', { replica: { region: 'eu-west-3' } }, /AuthorizationHeaderMalformed.*set region/],
    ['a missing bucket', { replica: { bucket: 'nowhere' } }, /NoSuchBucket.*Create the bucket/],
    ['an expired token', { env: { AWS_SESSION_TOKEN: TOKEN, ...ownKeys() }, replica: noKeys() }, /Expired.*renew/i],
    ['no server', { replica: { endpoint: 'http://127.0.0.1:1' } }, /ECONNREFUSED.*Check the endpoint/],
    ['no keys', { replica: noKeys() }, /credentials.*set access-key-id/i],
    ['half a pair of keys', { replica: { 'secret-access-key': '' } }, /credentials.*set access-key-id/i],
  ])('%s', async (_, changes, says) => {
    const text = await refused(changes);
    expect(text).toMatch(says);
    expect(
      text
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('Error:')),
    ).toHaveLength(1);
  });

  test.each([
    [301, 'PermanentRedirect'],
    [307, 'TemporaryRedirect'],
  ])('a redirect: %i %s', async (status, code) => {
    server.fault = () => ({ kind: 'status', status, code, headers: { location: 'http://127.0.0.1:1/' } });
    expect(await refused()).toMatch(/another region: set region/);
  });

  test("a clock that is wrong is put right by the server's own", async () => {
    server.clockOffsetMs = 3 * 3_600_000;
    insert('three hours late');
    const daemon = await start(['replicate']);
    await until('the first file', () => uploads() > 0, { failed: () => (daemon.exit && daemon.output) || undefined });
    await level();
    expect(daemon.exit).toBeUndefined();
  });

  test('a clock that cannot be put right is named', async () => {
    server.fault = () => ({ kind: 'status', status: 403, code: 'RequestTimeTooSkewed' });
    expect(await refused()).toMatch(/RequestTimeTooSkewed.*clocks/);
  });
});

describe('a bucket that breaks under replication', () => {
  const refusing =
    (operations: readonly string[], status: number, code: string): (() => void) =>
    () => {
      server.fault = ({ operation }) => (operations.includes(operation) ? { kind: 'status', status, code } : undefined);
    };
  const mend = (): void => {
    server.fault = () => undefined;
  };
  const writes = ['PutObject', 'CreateMultipartUpload'];

  test.each([
    ['becomes read-only', writes, 403, 'AccessDenied', /AccessDenied.*lack a permission/],
    ['has its credentials expire', [...writes, 'ListObjectsV2'], 400, 'ExpiredToken', /ExpiredToken.*renew/],
    ['throttles', writes, 503, 'SlowDown', /SlowDown/],
  ])('%s', async (_, operations, status, code, says) => {
    const broken = breaksAndMends(refusing(operations, status, code), says, mend);
    await expect(broken).resolves.toBeUndefined();
  });

  test('vanishes, and is made again', async () => {
    const held = server.buckets.get('litestream') ?? new Map();
    const broken = breaksAndMends(
      () => server.buckets.delete('litestream'),
      /NoSuchBucket.*Create the bucket/,
      () => server.buckets.set('litestream', held),
    );
    await expect(broken).resolves.toBeUndefined();
  });

  test.each([
    ['lets nothing be deleted', 'Access Denied', /Access Denied.*lack a permission/],
    ['locks its objects', 'Access Denied because object protected by object lock.', /object lock.*retention protects/],
  ])('%s: replication goes on, and the log says what is left', async (_, reason, says) => {
    server.kept = () => reason;
    const top = {
      'l0-retention': '1s',
      'l0-retention-check-interval': '1s',
      levels: [{ interval: '1s' }],
      snapshot: { interval: '1s', retention: '1s' },
    };
    const daemon = await start(['replicate'], { top });
    let number = 0;
    await until(
      `${String(says)} in the log`,
      () => {
        insert(`row ${number++}`);
        return says.test(daemon.output);
      },
      { timeoutMs: 90_000, intervalMs: 100, failed: () => (daemon.exit && daemon.output) || undefined },
    );
    await level({ top });
    server.kept = () => undefined;
    const { length } = server.keys();
    await until('what was left to be deleted', () => server.keys().length < length, { timeoutMs: 90_000 });
    await level({ top });
    expect(daemon.exit).toBeUndefined();
  });
});

describe('a proxy', () => {
  test('is used, may want a login, and may be away', async () => {
    const seen: string[] = [];
    let wantsLogin = false;
    const proxy = createServer((incoming, outgoing) => {
      seen.push(incoming.headers['proxy-authorization'] ?? '');
      if (wantsLogin) {
        outgoing.writeHead(407).end();
        return;
      }
      const forward = ask(incoming.url ?? '', { method: incoming.method, headers: incoming.headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      forward.on('error', () => outgoing.destroy());
      incoming.pipe(forward);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as AddressInfo;
    const env = { HTTP_PROXY: `http://someone:${PROXY_PASSWORD}@127.0.0.1:${port}` };
    try {
      const child = await start(['ltx', database], { env });
      expect((await child.exited).code, child.output).toBe(0);
      expect(seen.at(-1)).toBe(`Basic ${Buffer.from(`someone:${PROXY_PASSWORD}`).toString('base64')}`);
      wantsLogin = true;
      expect(await refused({ env })).toMatch(/proxy wants a login.*HTTP_PROXY/);
    } finally {
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    }
    expect(await refused({ env })).toMatch(/ECONNREFUSED/);
  });
});

function noKeys(): Record<string, unknown> {
  return { 'access-key-id': undefined, 'secret-access-key': undefined };
}

function ownKeys(): Record<string, string> {
  return { AWS_ACCESS_KEY_ID: 'litestreamtest', AWS_SECRET_ACCESS_KEY: SECRET };
}
