/**
 * MinIO: S3 over a folder; unmaintained and AGPL, so only run when it is named. Checks signatures; replaces under
 * conditions, but deletes whatever they say.
 */
import { goTool } from '../install.ts';
import { startOverFolder } from '../s3.ts';
import type { RunningService, Service } from '../service.ts';

const minio: Service = { backend: 's3', name: 'minio', optional: true, start };

export default minio;

const UNCONDITIONAL = 'it deletes whatever the condition';

export async function start(): Promise<RunningService> {
  return await startOverFolder(
    {
      name: 'minio',
      // The last commit there is.
      program: goTool('github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c'),
      args: (port, folder) => ['server', '--quiet', '--address', `127.0.0.1:${port}`, folder],
      env: (config) => ({
        MINIO_ROOT_USER: config['access-key-id'],
        MINIO_ROOT_PASSWORD: config['secret-access-key'],
      }),
    },
    {
      fileCount: 1100,
      answersDiffer: {
        'deleted under a wrong If-Match': UNCONDITIONAL,
        'read after that': UNCONDITIONAL,
        'deleted under If-Match, where there is none': UNCONDITIONAL,
        'a batch without a digest': 'it says MissingContentMD5, AWS says InvalidRequest',
        'a batch with a wrong digest': 'it does not look at it',
        'another region': 'it takes any region',
      },
    },
  );
}
