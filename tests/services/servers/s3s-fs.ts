/** s3s-fs: S3 over a folder, in Rust. Checks signatures; replaces under conditions, but deletes whatever they say. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { cargoTool } from '../install.ts';
import { freePort, scratchFolder, startServer } from '../process.ts';
import { s3Config } from '../s3.ts';
import type { RunningService, Service } from '../service.ts';

const s3sFs: Service = { backend: 's3', name: 's3s-fs', start };

export default s3sFs;

export async function start(): Promise<RunningService> {
  const program = cargoTool('s3s-fs', '0.14.1', 'binary');
  const port = await freePort();
  const folder = await scratchFolder('s3s-fs');
  const config = s3Config(`http://127.0.0.1:${port}`, 'litestream');
  await mkdir(join(folder.path, config.bucket));
  const keys = ['--access-key', config['access-key-id'], '--secret-key', config['secret-access-key']];
  const server = await startServer(program, ['--host', '127.0.0.1', '--port', String(port), ...keys, folder.path], {
    port,
    env: { RUST_LOG: 'error' },
  });
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
