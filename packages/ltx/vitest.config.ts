import { defineConfig } from 'vitest/config';
import type { ViteUserConfig } from 'vitest/config';

// The damage tests decode a file some thousands of times: seconds alone, more where other suites run beside them.
const config: ViteUserConfig = defineConfig({ test: { testTimeout: 60_000 } });
export default config;
