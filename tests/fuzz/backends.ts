/** Each backend with the hostile server as its service. */
import { abs } from '@litestream/client-abs';
import { gcs } from '@litestream/client-gcs';
import { nats } from '@litestream/client-nats';
import { oss } from '@litestream/client-oss';
import { s3 } from '@litestream/client-s3';
import { sftp } from '@litestream/client-sftp';
import { webdav } from '@litestream/client-webdav';
import type { LitestreamPlugin } from '@litestream/core';

export interface Target {
  readonly plugin: LitestreamPlugin;
  /** The replica's settings with a server at this port. */
  readonly settings: (port: number) => Record<string, unknown>;
}

const PLACE = { bucket: 'litestream', path: 'app' };

export const HTTP_TARGETS: Readonly<Record<string, Target>> = {
  abs: {
    plugin: abs(),
    settings: (port) => ({
      ...PLACE,
      endpoint: `http://127.0.0.1:${port}/account`,
      'account-name': 'account',
      'account-key': Buffer.alloc(64, 'k').toString('base64'),
    }),
  },
  gs: { plugin: gcs(), settings: (port) => ({ ...PLACE, endpoint: `http://127.0.0.1:${port}` }) },
  oss: {
    plugin: oss(),
    settings: (port) => ({
      ...PLACE,
      endpoint: `http://127.0.0.1:${port}`,
      'access-key-id': 'id',
      'secret-access-key': 'secret-of-oss',
      region: 'cn-hangzhou',
      'force-path-style': true,
    }),
  },
  s3: {
    plugin: s3(),
    settings: (port) => ({
      ...PLACE,
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      'force-path-style': true,
      'access-key-id': 'id',
      'secret-access-key': 'secret-of-s3',
    }),
  },
  webdav: {
    plugin: webdav(),
    settings: (port) => ({
      'webdav-url': `http://127.0.0.1:${port}/dav`,
      'webdav-username': 'user',
      'webdav-password': 'secret-of-webdav',
      path: 'app',
    }),
  },
};

/** These speak first, or not HTTP: they get bytes. */
export const SOCKET_TARGETS: Readonly<Record<string, Target>> = {
  nats: { plugin: nats(), settings: (port) => ({ url: `nats://127.0.0.1:${port}`, bucket: 'litestream' }) },
  sftp: {
    plugin: sftp(),
    settings: (port) => ({ host: `127.0.0.1:${port}`, user: 'user', password: 'secret-of-sftp', path: '/app' }),
  },
};
