/** Our own model of Alibaba Cloud OSS: nobody offers a server of that protocol to run at home. */
import { OssTestServer } from '../../../packages/client-oss/test/oss-server.ts';
import type { ObjectFacts } from '../objects.ts';
import type { RunningService, Service } from '../service.ts';

const oss: Service = { backend: 'oss', name: 'model', start };

export default oss;

export async function start(): Promise<RunningService> {
  const server = await OssTestServer.start();
  const { endpoint, region, accessKeyId, accessKeySecret } = server;
  return {
    config: {
      type: 'oss',
      bucket: 'litestream',
      endpoint,
      region,
      'access-key-id': accessKeyId,
      'secret-access-key': accessKeySecret,
    },
    stored: (path) => Promise.resolve(stored(server, path)),
    goDiffers: {
      'content-type':
        "Alibaba's Go SDK takes .ltx for TeX and says text/x-tex; no program reads it, and bytes are what it is",
    },
    broken: {
      wrongCredentials: { config: { 'secret-access-key': 'notthisone' } },
      missingBucket: { config: { bucket: 'nowhere' } },
      unreachable: { config: { endpoint: 'http://127.0.0.1:1' } },
    },
    inMemory: true,
    fileCount: 1100,
    stop: () => server[Symbol.asyncDispose](),
  };
}

function stored(server: OssTestServer, path: string): Map<string, ObjectFacts> {
  const found = [...(server.buckets.get('litestream') ?? [])].filter(([key]) => key.startsWith(`${path}/`));
  return new Map(found.map(([key, { headers }]) => [key, headers]));
}
