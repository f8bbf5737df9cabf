import { sftp } from '@litestream/client-sftp';

import { newKeyPair } from '../../packages/client-sftp/test/key-pair.ts';
import { SftpTestServer } from '../../packages/client-sftp/test/sftp-server.ts';
import type { BadPlace } from './conditions.ts';
import { Replica, SECRET } from './replica.ts';

const PERMISSION_DENIED = 3;
const FAILURE = 4;

export async function openSftp(): Promise<BadPlace> {
  const server = await SftpTestServer.start();
  const { host, user, password, hostKey } = server;
  const config = { host, user, password, 'host-key': hostKey, path: `${server.data}/app` };
  const replica = new Replica(sftp(), config, { SSH_AUTH_SOCK: '' });
  const refusing = (request: string, status: number): void => {
    server.fault = (one) => (one === request ? { status } : undefined);
  };
  const writeRefused = (request: string, status: number) => async (): Promise<unknown> => {
    refusing(request, status);
    return await replica.write();
  };
  return {
    mend: () => {
      server.fault = () => undefined;
    },
    attempts: {
      'wrong-key': () => replica.list({ password: SECRET }),
      'no-key': () => replica.list({ password: undefined }),
      expired: 'a login that is taken away is a wrong password',
      region: 'there is none',
      clock: 'no request carries a time',
      bucket: writeRefused('MKDIR', PERMISSION_DENIED),
      'read-only': writeRefused('OPEN', PERMISSION_DENIED),
      'no-delete': () => replica.remove(() => refusing('REMOVE', PERMISSION_DENIED)),
      locked: 'as where nothing may be deleted',
      full: writeRefused('WRITE', FAILURE),
      throttled: 'the protocol has no word for it',
      redirect: 'there is none',
      proxy: 'SSH goes past the proxies of HTTP',
      impostor: () => replica.list({ 'host-key': newKeyPair().public }),
      unreachable: () => replica.list({ host: '127.0.0.1:1' }),
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
