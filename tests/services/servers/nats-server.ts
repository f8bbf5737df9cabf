/** nats-server with JetStream, and an object store for each replica: there the path of a config means nothing. */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { createBucket, natsServerProgram, storedInBucket } from '../nats.ts';
import { freePort, scratchFolder, startServer } from '../process.ts';
import type { RunningService, Service } from '../service.ts';

const USER = 'litestream';
const PASSWORD = 'correct horse';

const natsServer: Service = { backend: 'nats', name: 'nats-server', start };

export default natsServer;

export async function start(): Promise<RunningService> {
  const program = natsServerProgram();
  const port = await freePort();
  const folder = await scratchFolder('nats');
  const settings = {
    host: '127.0.0.1',
    port,
    jetstream: { store_dir: join(folder.path, 'jetstream') },
    authorization: { user: USER, password: PASSWORD },
  };
  // The server's own format takes JSON as it is.
  await writeFile(join(folder.path, 'nats.conf'), JSON.stringify(settings));
  const server = await startServer(program, ['-c', join(folder.path, 'nats.conf')], { port });
  const login = { servers: `127.0.0.1:${port}`, user: USER, pass: PASSWORD };
  const made = new Set<string>();
  return {
    config: { type: 'nats', server: `nats://127.0.0.1:${port}`, username: USER, password: PASSWORD },
    configAt: async (path, config) => {
      const bucket = typeof config['bucket'] === 'string' ? config['bucket'] : bucketOf(path);
      if (config['bucket'] === undefined && !made.has(bucket)) {
        await createBucket(login, bucket);
        made.add(bucket);
      }
      return { ...config, bucket, url: `nats://127.0.0.1:${port}/${bucket}` };
    },
    broken: {
      wrongCredentials: { config: { password: 'wrong' } },
      missingBucket: { config: { bucket: 'nowhere' } },
      unreachable: { config: { server: 'nats://127.0.0.1:1' } },
    },
    stored: (path) => storedInBucket(login, bucketOf(path)),
    fileCount: 1100,
    stop: async () => {
      await server.stop();
      await folder.remove();
    },
  };
}

/** Names of buckets hold little more than letters. */
function bucketOf(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 32);
}
