/** versitygw: S3 over a folder, the strictest we know: signatures, conditional PUT and DELETE, chunk-size rules. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { goTool } from '../install.ts';
import { freePort, scratchFolder, startServer } from '../process.ts';
import { createBucket, s3Config } from '../s3.ts';
import type { RunningService, Service } from '../service.ts';

const versitygw: Service = { backend: 's3', name: 'versitygw', start };

export default versitygw;

export async function start(): Promise<RunningService> {
  const program = goTool('github.com/versity/versitygw/cmd/versitygw@v1.8.0', 'versitygw');
  const port = await freePort();
  const folder = await scratchFolder('versitygw');
  const data = join(folder.path, 'data');
  const sidecar = join(folder.path, 'sidecar');
  await Promise.all([mkdir(data), mkdir(sidecar)]);
  const config = s3Config(`http://127.0.0.1:${port}`, 'litestream');
  // The sidecar keeps metadata in files: not every file system has extended attributes.
  const args = ['--port', `127.0.0.1:${port}`, '--quiet', 'posix', '--sidecar', sidecar, data];
  const server = await startServer(program, args, {
    port,
    env: { ROOT_ACCESS_KEY: config['access-key-id'], ROOT_SECRET_KEY: config['secret-access-key'] },
  });
  await createBucket(config);
  return {
    config,
    broken: {
      wrongCredentials: { config: { 'secret-access-key': 'notthisonenotthisone' } },
      missingBucket: { config: { bucket: 'nowhere' } },
      unreachable: { config: { endpoint: 'http://127.0.0.1:1' } },
    },
    stop: async () => {
      await server.stop();
      await folder.remove();
    },
  };
}
