/**
 * A server for every backend: those that npm alone gives, nats-server from PyPI, because NATS has no other, and the real ones
 * that `npm run test:services` has fetched before.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { GcsTestServer } from '../../packages/client-gcs/test/gcs-server.ts';
import { S3TestServer } from '../../packages/client-s3/test/s3-server.ts';
import { SftpTestServer } from '../../packages/client-sftp/test/sftp-server.ts';
import { WebdavTestServer } from '../../packages/client-webdav/test/webdav-server.ts';
import azurite from '../services/servers/azurite.ts';
import nats from '../services/servers/nats-server.ts';
import oss from '../services/servers/oss.ts';
import type { RunningService, Service } from '../services/service.ts';
import { repositoryRoot } from '../support/repository.ts';

export const s3: Service = {
  backend: 's3',
  name: 'test server',
  async start() {
    const server = await S3TestServer.start();
    const { endpoint, region, accessKeyId, secretAccessKey } = server;
    const keys = { 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey };
    return stoppable({ type: 's3', bucket: 'litestream', endpoint, region, ...keys }, server);
  },
};

const gcs: Service = {
  backend: 'gcs',
  name: 'test server',
  async start() {
    const server = await GcsTestServer.start();
    return stoppable({ type: 'gs', bucket: 'litestream', endpoint: server.endpoint }, server);
  },
};

const sftp: Service = {
  backend: 'sftp',
  name: 'test server',
  async start() {
    const server = await SftpTestServer.start();
    const { host, user, keyPath, hostKey, data } = server;
    const config = { type: 'sftp', host, user, 'key-path': keyPath, 'host-key': hostKey };
    return { ...stoppable(config, server), configAt: async (path) => ({ ...config, path: `${data}/${path}` }) };
  },
};

const webdav: Service = {
  backend: 'webdav',
  name: 'test server',
  async start() {
    const server = await WebdavTestServer.start();
    const { url, username, password } = server;
    const login = { 'webdav-username': username, 'webdav-password': password };
    return stoppable({ type: 'webdav', 'webdav-url': url, ...login }, server);
  },
};

function stoppable(config: RunningService['config'], server: AsyncDisposable): RunningService {
  return { config, stop: async () => server[Symbol.asyncDispose]() };
}

/** Servers of `tests/services`, by what they need in `.cache`. */
const FETCHED: readonly [file: string, needs: string][] = [
  ['apache', 'debian/apache2-bin'],
  ['fake-gcs-server', 'pip/fake-gcs-server'],
  ['moto', 'pip/moto'],
  ['nginx', 'debian/libnginx-mod-http-dav-ext'],
  ['openssh', 'debian/openssh-server'],
  ['s3s-fs', 'cargo/bin/s3s-fs'],
  ['versitygw', 'bin/versitygw'],
];

/** All that can be started here, by backend. */
export async function servers(): Promise<Service[]> {
  const fetched = FETCHED.filter(([, needs]) => existsSync(join(repositoryRoot, '.cache', needs)));
  const modules = await Promise.all(
    fetched.map(([file]) => import(`../services/servers/${file}.ts`) as Promise<{ default: Service }>),
  );
  const real = modules.map((module) => module.default);
  return [s3, gcs, azurite, oss, sftp, webdav, nats, ...real].sort((a, b) => a.backend.localeCompare(b.backend));
}
