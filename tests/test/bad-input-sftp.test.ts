/** What people get wrong about an SFTP server, through the real command line, as for S3. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { newKeyPair } from '../../packages/client-sftp/test/key-pair.ts';
import { SftpTestServer } from '../../packages/client-sftp/test/sftp-server.ts';
import { BadBucket } from '../support/bad-bucket.ts';

vi.setConfig({ testTimeout: 240_000 });

const CANARIES = ['canary-password-81fe', 'canary-wrong-password-0c6d'];
const [PASSWORD = '', WRONG = ''] = CANARIES;
const PERMISSION_DENIED = 3;

let server: SftpTestServer;
let bucket: BadBucket;

const files = async (): Promise<string[]> => (await server.files()).filter((path) => path.endsWith('.ltx'));

beforeEach(async () => {
  server = await SftpTestServer.start();
  server.password = PASSWORD;
  bucket = await BadBucket.open({
    replica: {
      type: 'sftp',
      host: server.host,
      user: server.user,
      password: PASSWORD,
      'host-key': server.hostKey,
      path: `${server.data}/app`,
    },
    secrets: CANARIES,
    uploads: async () => (await files()).filter((path) => path.startsWith('app/ltx/0/')).length,
  });
});
afterEach(async () => {
  await bucket[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const refusing =
  (requests: readonly string[], status: number): (() => void) =>
  () => {
    server.fault = (request) => (requests.includes(request) ? { status } : undefined);
  };
const mend = (): void => {
  server.fault = () => undefined;
};

test('a server with another host key is refused', async () => {
  const changes = { replica: { 'host-key': newKeyPair().public } };
  expect(await bucket.refused(changes)).toMatch(/not the configured one.*in its place/);
});

describe('a server that breaks under replication', () => {
  test('takes the password no more', async () => {
    const becomes = (password: string) => (): void => {
      server.password = password;
      server.drop();
    };
    const broken = bucket.breaksAndMends(becomes(WRONG), /Check user, password and key-path/, becomes(PASSWORD));
    await expect(broken).resolves.toBeUndefined();
  });

  test('lets nothing be deleted: replication goes on, and the log says so', async () => {
    refusing(['REMOVE'], PERMISSION_DENIED)();
    const goesOn = bucket.keepsGoingWithoutDeletes(/Let the user write/, files, mend);
    await expect(goesOn).resolves.toBeUndefined();
  });
});
