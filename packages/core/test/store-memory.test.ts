/** Compaction holds pieces of its inputs, never a file: its memory does not grow with their size. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from './support/temporary-folder.ts';

const MIB = 2 ** 20;
const folder = temporaryFolder('compaction-memory');
const script = fileURLToPath(new URL('./helpers/compaction-memory.ts', import.meta.url));

describe('memory of a compaction', () => {
  it.each([
    ['over the network', 'streamed'],
    ['on a local disk', join(folder, 'replica')],
  ])('of 210 MiB of files %s is a fraction of one of them', (_what, where) => {
    const output = execFileSync(process.execPath, ['--no-warnings', '--max-old-space-size=48', script, where], {
      encoding: 'utf8',
    });
    const { inputSize, outputSize, rssBefore, rssMax } = JSON.parse(output) as Record<string, number>;
    expect(inputSize).toBeGreaterThan(200 * MIB);
    expect(outputSize).toBeGreaterThan(120 * MIB);
    // The smallest input has 40 MiB, the largest and the output 125.
    expect((rssMax ?? Infinity) - (rssBefore ?? 0)).toBeLessThan(80 * MIB);
  });
});
