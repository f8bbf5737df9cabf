/** A server whose authority only the machine's store has. */
import { guardClient } from '@litestream/core';
import { NatsReplicaClient } from '@litestream/client-nats';
import { expect, test } from 'vitest';

import { createBucket } from '../services/nats.ts';
import { hasOpenssl, makeCertificates } from './certificates.ts';
import { findNatsServer, startNats } from './server.ts';

const found = findNatsServer();

test.skipIf('missing' in found || !hasOpenssl())(
  'SSL_CERT_FILE vouches for the server, root-cas replaces it',
  async () => {
    let authority = '';
    await using server = await startNats('program' in found ? found.program : '', (folder) => {
      const { server: own, ca } = makeCertificates(folder);
      authority = ca;
      return { tls: { cert_file: own.cert, key_file: own.key } };
    });
    const url = `nats://127.0.0.1:${server.port}`;
    await createBucket({ servers: url, tls: { caFile: authority } }, 'app');
    const listed = async (options: object): Promise<unknown> => {
      const client = new NatsReplicaClient({ url, bucket: 'app', maxReconnects: 0, ...options });
      await using guarded = guardClient(client, { retry: { attemptCountMax: 1 } });
      return await Array.fromAsync(guarded.ltxFiles(0, {}));
    };
    const trusting = { env: { SSL_CERT_FILE: authority, SSL_CERT_DIR: '/nowhere' } };
    expect(await listed(trusting)).toEqual([]);
    expect(await listed({ tls: true, ...trusting })).toEqual([]);
    expect(await listed({ env: {}, rootCas: [authority] })).toEqual([]);
    await expect(listed({ env: {} })).rejects.toMatchObject({ code: 'NETWORK' });
  },
);
