import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import type { ViteUserConfig } from 'vitest/config';

// Processes and worker threads of the tests run sources: without the cache each strips their types and compiles them again,
// which is most of what it takes to start one.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, '.cache', 'node-compile-cache');

const config: ViteUserConfig = defineConfig({
  test: {
    // Tests wait about half of their time, for processes, disks and timers. With vitest's default, one worker less than cores, cores
    // would be idle.
    maxWorkers: 2 * availableParallelism(),
    setupFiles: [join(import.meta.dirname, 'tests', 'support', 'ample-room.ts')],
    // Real files and real processes, every suite beside others and on busy machines: what hangs is found just as well after
    // some minutes. Longer than `until` waits, so that a failure says what was waited for.
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
export default config;
