import { defineConfig } from 'vitest/config';
import type { ViteUserConfig } from 'vitest/config';

// Real files, real processes, and in CI every suite beside others: what hangs is found just as well after a minute.
const config: ViteUserConfig = defineConfig({ test: { testTimeout: 60_000, hookTimeout: 60_000 } });
export default config;
