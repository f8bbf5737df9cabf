import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import type { ViteUserConfig } from 'vitest/config';

const config: ViteUserConfig = defineConfig({
  test: {
    // Tests mostly wait, for processes, disks and timers: vitest's own choice, a worker less than cores, would leave the cores idle.
    maxWorkers: 2 * availableParallelism(),
    // Real files, real processes, and every suite beside others: what hangs is found just as well after a minute.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
export default config;
