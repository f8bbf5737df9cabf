/** Litestream in a worker thread: the end of the thread must not drop the locks of the application's connections. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Lab, drivers } from './helpers/db-lab.ts';

interface Answer {
  readonly said: string;
  readonly hasWal: boolean;
  /** Rows that another process sees. */
  readonly seen: string;
}

function run(lab: Lab, options: { trackUnmanagedFds: boolean; end: 'stop' | 'terminate' }): Answer {
  const script = fileURLToPath(new URL('./helpers/worker-host.mjs', import.meta.url));
  const args = ['--no-warnings', script, lab.path, JSON.stringify({ driver: lab.driver.name, ...options })];
  const result = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(result.stderr);
  return JSON.parse(result.stdout) as Answer;
}

describe.each(drivers)('a worker thread, with $name', (driver) => {
  it.each(['stop', 'terminate'] as const)('that keeps its descriptors replicates, and may end by %s', async (end) => {
    await using lab = new Lab(driver);
    expect(run(lab, { trackUnmanagedFds: false, end })).toEqual({ said: 'replicated', hasWal: true, seen: '3' });
  });

  it('that closes its descriptors is refused', async () => {
    await using lab = new Lab(driver);
    const { said, hasWal, seen } = run(lab, { trackUnmanagedFds: true, end: 'stop' });
    expect(said).toMatch(/^UNSUPPORTED .*worker thread/);
    expect({ hasWal, seen }).toEqual({ hasWal: true, seen: '3' });
  });
});
