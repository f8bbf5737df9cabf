import { defineConfig } from 'vitest/config';

// Most tests start the real command, several times over.
export default defineConfig({ test: { testTimeout: 60_000, hookTimeout: 60_000 } });
