/** Azurite: Azure's own emulator of Blob Storage, in memory. Enforces every condition, and shared-key signatures. */
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob';

import { npmTool } from '../install.ts';
import { freePort, scratchFolder, startServer } from '../process.ts';
import type { RunningService, Service } from '../service.ts';

/** The account and key of every Azurite, public by its documentation. */
const ACCOUNT = 'devstoreaccount1';
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

const azurite: Service = { backend: 'abs', name: 'azurite', start };

export default azurite;

export async function start(): Promise<RunningService> {
  const port = await freePort();
  const folder = await scratchFolder('azurite');
  const args = ['--silent', '--inMemoryPersistence', '--skipApiVersionCheck', '--disableTelemetry'];
  const server = await startServer(
    npmTool('azurite-blob'),
    ['--blobHost', '127.0.0.1', '--blobPort', String(port), ...args],
    {
      port,
      cwd: folder.path,
    },
  );
  const endpoint = `http://127.0.0.1:${port}/${ACCOUNT}`;
  const client = new BlobServiceClient(endpoint, new StorageSharedKeyCredential(ACCOUNT, KEY));
  await client.getContainerClient('litestream').create();
  return {
    config: { type: 'abs', bucket: 'litestream', endpoint, 'account-name': ACCOUNT, 'account-key': KEY },
    broken: {
      wrongCredentials: { config: { 'account-key': Buffer.alloc(64, 1).toString('base64') } },
      missingBucket: { config: { bucket: 'nowhere' } },
      unreachable: { config: { endpoint: `http://127.0.0.1:1/${ACCOUNT}` } },
    },
    fileCount: 300,
    stop: async () => {
      await server.stop();
      await folder.remove();
    },
  };
}
