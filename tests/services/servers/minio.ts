/**
 * MinIO: S3 over a folder; unmaintained and AGPL, so only run when it is named. Checks signatures; replaces under
 * conditions, but deletes whatever they say.
 */
import { goTool } from '../install.ts';
import { startOverFolder } from '../s3.ts';
import type { RunningService, Service } from '../service.ts';

const minio: Service = { backend: 's3', name: 'minio', optional: true, start };

export default minio;

export async function start(): Promise<RunningService> {
  return await startOverFolder(
    {
      name: 'minio',
      program: goTool('github.com/minio/minio@latest'),
      args: (port, folder) => ['server', '--quiet', '--address', `127.0.0.1:${port}`, folder],
      env: (config) => ({
        MINIO_ROOT_USER: config['access-key-id'],
        MINIO_ROOT_PASSWORD: config['secret-access-key'],
      }),
    },
    { fileCount: 1100 },
  );
}
