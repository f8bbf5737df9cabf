/** Azurite: Azure's own emulator of Blob Storage, in memory. Enforces every condition, and shared-key signatures. */
import { Azurite } from '../../../packages/client-abs/test/azurite.ts';
import type { RunningService, Service } from '../service.ts';

const azurite: Service = { backend: 'abs', name: 'azurite', start };

export default azurite;

export async function start(): Promise<RunningService> {
  const server = await Azurite.start();
  const { endpoint, accountName, accountKey } = server;
  return {
    config: { type: 'abs', bucket: 'litestream', endpoint, 'account-name': accountName, 'account-key': accountKey },
    broken: {
      wrongCredentials: { config: { 'account-key': Buffer.alloc(64, 1).toString('base64') } },
      missingBucket: { config: { bucket: 'nowhere' } },
      unreachable: { config: { endpoint: `http://127.0.0.1:1/${accountName}` } },
    },
    inMemory: true,
    fileCount: 300,
    stop: () => server[Symbol.asyncDispose](),
  };
}
