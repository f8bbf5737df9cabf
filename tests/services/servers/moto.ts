/** moto: S3 in memory. Honours conditions, ranges and paging; checks no signature. */
import { pipTool } from '../install.ts';
import { freePort, startServer } from '../process.ts';
import { createBucket, s3Config } from '../s3.ts';
import type { RunningService, Service } from '../service.ts';

const moto: Service = { backend: 's3', name: 'moto', start };

export default moto;

export async function start(): Promise<RunningService> {
  const program = pipTool('moto', ['moto[server,s3]>=5.2'], 'moto_server');
  const port = await freePort();
  const server = await startServer(program, ['-H', '127.0.0.1', '-p', String(port)], { port });
  const config = s3Config(`http://127.0.0.1:${port}`, 'litestream');
  await createBucket(config);
  return {
    config,
    broken: {
      missingBucket: { config: { bucket: 'nowhere' } },
      unreachable: { config: { endpoint: 'http://127.0.0.1:1' } },
    },
    fileCount: 1100,
    stop: () => server.stop(),
  };
}
