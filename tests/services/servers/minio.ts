/**
 * MinIO: S3 over a folder; unmaintained and AGPL, so only run when it is named. Checks signatures; replaces under
 * conditions, but deletes whatever they say.
 */
import { goTool } from '../install.ts';
import { freePort, scratchFolder, startServer } from '../process.ts';
import { createBucket, s3Config } from '../s3.ts';
import type { RunningService, Service } from '../service.ts';

const minio: Service = { backend: 's3', name: 'minio', optional: true, start };

export default minio;

export async function start(): Promise<RunningService> {
  const program = goTool('github.com/minio/minio@latest');
  const port = await freePort();
  const folder = await scratchFolder('minio');
  const config = s3Config(`http://127.0.0.1:${port}`, 'litestream');
  const server = await startServer(program, ['server', '--quiet', '--address', `127.0.0.1:${port}`, folder.path], {
    port,
    env: { MINIO_ROOT_USER: config['access-key-id'], MINIO_ROOT_PASSWORD: config['secret-access-key'] },
  });
  await createBucket(config);
  return {
    config,
    broken: {
      wrongCredentials: { config: { 'secret-access-key': 'notthisonenotthisone' } },
      missingBucket: { config: { bucket: 'nowhere' } },
      unreachable: { config: { endpoint: 'http://127.0.0.1:1' } },
    },
    fileCount: 1100,
    stop: async () => {
      await server.stop();
      await folder.remove();
    },
  };
}
