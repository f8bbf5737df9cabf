/** Which certificates the clients trust, on real HTTPS servers with an authority of their own. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';

import { abs } from '@litestream/client-abs';
import { gcs } from '@litestream/client-gcs';
import { oss } from '@litestream/client-oss';
import { s3 } from '@litestream/client-s3';
import { webdav } from '@litestream/client-webdav';
import { guardClient, silentLogger } from '@litestream/core';
import type { LitestreamPlugin } from '@litestream/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Azurite } from '../../packages/client-abs/test/azurite.ts';
import { GcsTestServer } from '../../packages/client-gcs/test/gcs-server.ts';
import { OssTestServer } from '../../packages/client-oss/test/oss-server.ts';
import { S3TestServer } from '../../packages/client-s3/test/s3-server.ts';
import { frontCertificate, startTlsFront } from '../../packages/client-s3/test/tls-front.ts';
import { WebdavTestServer } from '../../packages/client-webdav/test/webdav-server.ts';
import { Child } from '../support/child.ts';
import { repositoryRoot } from '../support/repository.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { tsProgram } from '../support/programs.ts';

interface Backend {
  readonly plugin: LitestreamPlugin<never>;
  /** In the words of YAML, with the address behind TLS. */
  readonly config: Readonly<Record<string, unknown>>;
}

const closing = new AsyncDisposableStack();
let folder: string;
const backends = new Map<string, Backend>();

async function behindTls(endpoint: string): Promise<string> {
  const front = closing.use(await startTlsFront(endpoint));
  return endpoint.replace(/^http:\/\/[^/]+/, front.endpoint);
}

function add(plugin: unknown, config: Readonly<Record<string, unknown>>): void {
  const known = plugin as LitestreamPlugin<never>;
  backends.set(known.types[0] ?? '', { plugin: known, config: { bucket: 'litestream', path: 'app', ...config } });
}

beforeAll(async () => {
  folder = closing.use(await temporaryFolder('certificates')).path;
  await mkdir(join(folder, 'authorities'));
  await writeFile(join(folder, 'authority.pem'), `What stands around a certificate is no matter.\n${frontCertificate}`);
  await writeFile(join(folder, 'authorities', 'ours.crt'), frontCertificate);
  await writeFile(join(folder, 'authorities', 'broken.crt'), frontCertificate.replace(/\n.{10}/, '\nAAAAAAAAAA'));
  const s3Server = closing.use(await S3TestServer.start());
  const ossServer = closing.use(await OssTestServer.start());
  const gcsServer = closing.use(await GcsTestServer.start());
  const azurite = closing.use(await Azurite.start());
  const dav = closing.use(await WebdavTestServer.start());
  const { accessKeyId, secretAccessKey } = s3Server;
  add(s3(), {
    endpoint: await behindTls(s3Server.endpoint),
    'access-key-id': accessKeyId,
    'secret-access-key': secretAccessKey,
  });
  add(oss(), {
    // The SDK asks a bare address under the name of the service.
    endpoint: (await behindTls(ossServer.endpoint)).replace('127.0.0.1', 'localhost'),
    'access-key-id': ossServer.accessKeyId,
    'secret-access-key': ossServer.accessKeySecret,
  });
  add(gcs(), { endpoint: await behindTls(gcsServer.endpoint) });
  add(abs(), {
    endpoint: await behindTls(azurite.endpoint),
    'account-name': azurite.accountName,
    'account-key': azurite.accountKey,
  });
  add(webdav(), {
    'webdav-url': await behindTls(dav.url),
    'webdav-username': dav.username,
    'webdav-password': dav.password,
  });
});
afterAll(() => closing.disposeAsync());

/** Writes a file and lists it, with these variables. */
async function roundTrip(type: string, env: Readonly<Record<string, string>>): Promise<unknown> {
  const { plugin, config } = backends.get(type) as Backend;
  const context = { logger: silentLogger, env, folder: '/' };
  const client = await plugin.create(plugin.configSchema.parse(config), context);
  await using guarded = guardClient(client, { retry: { attemptCountMax: 1 } });
  const file = { level: 0, minTxid: 1n, maxTxid: 1n, timestamp: new Date('2026-11-24T01:02:03.650Z') };
  await guarded.writeLtxFile(file, {
    size: 1,
    open: async function* () {
      yield Buffer.from('x');
    },
  });
  return (await Array.fromAsync(guarded.ltxFiles(0, {}))).map(({ minTxid, size }) => ({ minTxid, size }));
}

describe.each(['s3', 'oss', 'gs', 'abs', 'webdav'])('%s', (type) => {
  test('trusts SSL_CERT_FILE, SSL_CERT_DIR, and else refuses; the process trusts whom it did', async () => {
    const before = getCACertificates('default').length;
    const there = [{ minTxid: 1n, size: 1 }];
    expect(await roundTrip(type, { SSL_CERT_FILE: join(folder, 'authority.pem') })).toEqual(there);
    expect(await roundTrip(type, { SSL_CERT_DIR: `/nowhere:${join(folder, 'authorities')}` })).toEqual(there);
    await expect(roundTrip(type, {})).rejects.toMatchObject({
      code: 'NETWORK',
      hint: expect.stringContaining('SSL_CERT_FILE') as string,
    });
    expect(getCACertificates('default')).toHaveLength(before);
  });
});

describe('the command', () => {
  /** Runs it with what the machine trusts and one certificate more. */
  const environment = (file: string): NodeJS.ProcessEnv => ({
    SSL_CERT_FILE: join(folder, file),
    SSL_CERT_DIR: '/nowhere',
  });

  test('trusts SSL_CERT_FILE', async () => {
    const { config } = backends.get('s3') as Backend;
    const path = join(folder, 'litestream.yml');
    const database = join(folder, 'app.db');
    await writeFile(path, JSON.stringify({ dbs: [{ path: database, replica: { type: 's3', ...config } }] }));
    const listed = await tsProgram(environment('authority.pem')).start('ltx', '-config', path, database).done();
    expect(listed.stdout).toContain('0000000000000001');
  });

  test('trusts it for the heartbeat', async () => {
    const { config } = backends.get('webdav') as Backend;
    const module = new URL('../../packages/cli/src/replicate/heartbeat.ts', import.meta.url).href;
    // Its first check comes after 15 seconds of a daemon.
    const script = `
      import { Heartbeat } from ${JSON.stringify(module)};
      const print = (message, fields) => console.log(message, JSON.stringify(fields));
      const logger = { info() {}, debug: print, error: print, child: () => logger };
      const daemon = { report: () => [{ state: 'replicating', lastSyncAt: new Date() }] };
      const heartbeat = new Heartbeat({ url: ${JSON.stringify(config['webdav-url'])}, intervalMs: 1000, daemon, logger });
      heartbeat.start();
      heartbeat.check();
    `;
    await writeFile(join(folder, 'heartbeat.mjs'), script);
    const run = (file: string): Promise<string> => outputOf(join(folder, 'heartbeat.mjs'), environment(file));
    expect(await run('authority.pem')).toContain('unexpected status code: 401');
    expect(await run('nothing.pem')).toMatch(/self-signed certificate/);
  });
});

async function outputOf(script: string, env: NodeJS.ProcessEnv): Promise<string> {
  const child = new Child('heartbeat', process.execPath, [script], {
    cwd: repositoryRoot,
    env: { ...process.env, NODE_EXTRA_CA_CERTS: '', ...env },
  });
  return (await child.done()).stdout;
}
