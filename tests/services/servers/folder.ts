/** A folder of this machine: no server at all. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { storedFiles } from '../files.ts';
import { scratchFolder } from '../process.ts';
import type { RunningService, Service } from '../service.ts';

const folder: Service = { backend: 'file', name: 'folder', start };

export default folder;

export async function start(): Promise<RunningService> {
  const scratch = await scratchFolder('folder');
  const data = join(scratch.path, 'data');
  await mkdir(data);
  return {
    config: { type: 'file' },
    configAt: (path, config) => Promise.resolve({ ...config, path: join(data, path) }),
    stored: (path) => storedFiles(data, path),
    port: null,
    stop: () => scratch.remove(),
  };
}
