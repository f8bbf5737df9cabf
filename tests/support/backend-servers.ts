/** A test server of each backend, reached through something that stands before it. */
import type { ReplicaClient } from '@litestream/core';
import { Azurite } from '../../packages/client-abs/test/azurite.ts';
import { clientFor as absClient } from '../../packages/client-abs/test/support.ts';
import { GcsTestServer } from '../../packages/client-gcs/test/gcs-server.ts';
import { clientFor as gcsClient } from '../../packages/client-gcs/test/support.ts';
import { OssTestServer } from '../../packages/client-oss/test/oss-server.ts';
import { clientFor as ossClient } from '../../packages/client-oss/test/support.ts';
import { S3TestServer } from '../../packages/client-s3/test/s3-server.ts';
import { clientFor as s3Client } from '../../packages/client-s3/test/support.ts';
import { SftpReplicaClient } from '../../packages/client-sftp/src/index.ts';
import { SftpTestServer } from '../../packages/client-sftp/test/sftp-server.ts';
import { WebdavReplicaClient } from '../../packages/client-webdav/src/index.ts';
import { WebdavTestServer } from '../../packages/client-webdav/test/webdav-server.ts';

export interface BackendServer {
  readonly server: AsyncDisposable;
  readonly port: number;
  /** A client of it that connects to another port, of loopback. */
  readonly through: (port: number) => ReplicaClient;
}

export const BACKEND_SERVERS: Readonly<Record<string, () => Promise<BackendServer>>> = {
  s3: async () => {
    const server = await S3TestServer.start();
    const through = (port: number): ReplicaClient => s3Client(server, { endpoint: `http://127.0.0.1:${port}` });
    return { server, port: portOf(server.endpoint), through };
  },
  gs: async () => {
    const server = await GcsTestServer.start();
    const through = (port: number): ReplicaClient => gcsClient(server, { endpoint: `http://127.0.0.1:${port}` });
    return { server, port: portOf(server.endpoint), through };
  },
  oss: async () => {
    const server = await OssTestServer.start();
    const through = (port: number): ReplicaClient => ossClient(server, { endpoint: `http://127.0.0.1:${port}` });
    return { server, port: portOf(server.endpoint), through };
  },
  abs: async () => {
    const server = await Azurite.start();
    const through = (port: number): ReplicaClient =>
      absClient(server, { endpoint: server.endpoint.replace(/:\d+\//, `:${port}/`) });
    return { server, port: portOf(server.endpoint), through };
  },
  sftp: async () => {
    const server = await SftpTestServer.start();
    const { user, keyPath, hostKey, data } = server;
    const through = (port: number): ReplicaClient =>
      new SftpReplicaClient({ host: `127.0.0.1:${port}`, user, keyPath, hostKey, path: `${data}/app` });
    return { server, port: portOf(`ssh://${server.host}`), through };
  },
  webdav: async () => {
    const server = await WebdavTestServer.start();
    const { username, password } = server;
    const through = (port: number): ReplicaClient =>
      new WebdavReplicaClient({ url: `http://127.0.0.1:${port}`, username, password, path: 'app' });
    return { server, port: portOf(server.url), through };
  },
};

function portOf(url: string): number {
  return Number(new URL(url).port);
}
