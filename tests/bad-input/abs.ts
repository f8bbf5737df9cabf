import { abs } from '@litestream/client-abs';
import {
  ContainerSASPermissions,
  StorageSharedKeyCredential,
  generateBlobSASQueryParameters,
} from '@azure/storage-blob';

import { AzuriteFront } from '../../packages/client-abs/test/azurite-front.ts';
import { Azurite } from '../../packages/client-abs/test/azurite.ts';
import { startTlsFront } from '../../packages/client-s3/test/tls-front.ts';
import type { BadPlace } from './conditions.ts';
import { Replica } from './replica.ts';

const DAY_MS = 86_400_000;

export async function openAbs(): Promise<BadPlace> {
  const azurite = await Azurite.start();
  const front = await AzuriteFront.start(azurite);
  const tls = await startTlsFront(front.endpoint);
  const { accountName, accountKey } = azurite;
  const { endpoint } = front;
  const keys = { 'account-name': accountName, 'account-key': accountKey };
  const replica = new Replica(abs(), { bucket: 'litestream', path: 'app', endpoint, ...keys });
  const refusing = (operation: string, status: number, code: string): void => {
    front.fault = (call) => (call.operation === operation ? { kind: 'status', status, code } : undefined);
  };
  const listRefused = (status: number, code: string) => async (): Promise<unknown> => {
    refusing('GET list', status, code);
    return await replica.list();
  };
  const writeRefused = (status: number, code: string) => async (): Promise<unknown> => {
    refusing('PUT', status, code);
    return await replica.write();
  };
  const expired = generateBlobSASQueryParameters(
    {
      containerName: 'litestream',
      permissions: ContainerSASPermissions.parse('racwdl'),
      startsOn: new Date(Date.now() - 2 * DAY_MS),
      expiresOn: new Date(Date.now() - DAY_MS),
    },
    new StorageSharedKeyCredential(accountName, accountKey),
  ).toString();
  return {
    mend: () => {
      front.fault = () => undefined;
    },
    attempts: {
      'wrong-key': () => replica.list({ 'account-key': Buffer.alloc(64, 'canary').toString('base64') }),
      'no-key': () => replica.list({ 'account-name': undefined, 'account-key': undefined }),
      expired: () => replica.list({ 'account-name': undefined, 'account-key': undefined, 'sas-token': expired }),
      region: 'the endpoint says it',
      clock: listRefused(403, 'AuthenticationFailed'),
      bucket: () => replica.list({ bucket: 'nowhere' }),
      'read-only': writeRefused(403, 'AuthorizationPermissionMismatch'),
      'no-delete': () => replica.remove(() => refusing('DELETE', 403, 'AuthorizationPermissionMismatch')),
      locked: () => replica.remove(() => refusing('DELETE', 409, 'BlobImmutableDueToPolicy')),
      full: 'an account has no limit that a database meets',
      throttled: writeRefused(503, 'ServerBusy'),
      redirect: listRefused(307, 'TemporaryRedirect'),
      proxy: () => replica.proxied(),
      impostor: () => replica.list({ endpoint: tls.endpoint + new URL(endpoint).pathname }),
      unreachable: () => replica.list({ endpoint: `http://127.0.0.1:1/${accountName}` }),
    },
    [Symbol.asyncDispose]: async () => {
      await tls[Symbol.asyncDispose]();
      await front[Symbol.asyncDispose]();
      await azurite[Symbol.asyncDispose]();
    },
  };
}
