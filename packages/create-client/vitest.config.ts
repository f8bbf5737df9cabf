import { defineConfig } from 'vitest/config';

// The tests generate repositories and run what they hold. The template's own test is no test of this package.
export default defineConfig({ test: { include: ['test/**/*.test.ts'], testTimeout: 180_000, hookTimeout: 60_000 } });
