import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'nats/**/*.test.ts', 'chaos/**/*.test.ts'],
    // Real processes at full speed: side by side they would measure each other.
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
