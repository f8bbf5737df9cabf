/** versitygw: S3 over a folder, the strictest we know: signatures, conditional PUT and DELETE, chunk-size rules. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { goTool } from '../install.ts';
import { startOverFolder } from '../s3.ts';
import type { RunningService, Service } from '../service.ts';

const versitygw: Service = { backend: 's3', name: 'versitygw', start };

export default versitygw;

export async function start(): Promise<RunningService> {
  const data = (folder: string): string => join(folder, 'data');
  // The sidecar keeps metadata in files: not every file system has extended attributes.
  const sidecar = (folder: string): string => join(folder, 'sidecar');
  return await startOverFolder(
    {
      name: 'versitygw',
      program: goTool('github.com/versity/versitygw/cmd/versitygw@v1.8.0', 'versitygw'),
      args: (port, folder) => [
        '--port',
        `127.0.0.1:${port}`,
        '--quiet',
        'posix',
        '--sidecar',
        sidecar(folder),
        data(folder),
      ],
      env: (config) => ({ ROOT_ACCESS_KEY: config['access-key-id'], ROOT_SECRET_KEY: config['secret-access-key'] }),
      prepare: async (folder) => {
        await mkdir(data(folder));
        await mkdir(sidecar(folder));
      },
    },
    {
      answersDiffer: {
        'deleted under If-Match, where there is none': 'it says 204; AWS and moto say 404',
        'a batch that is no XML': 'it says InvalidRequest, AWS says MalformedXML',
        'an unknown key': 'it says 404 XAdminUserNotFound, AWS says 403 InvalidAccessKeyId',
      },
    },
  );
}
