import { defineConfig } from 'vitest/config';
import type { ViteUserConfig } from 'vitest/config';

// Real files and real processes, in CI every suite beside others and on busy machines: what hangs is found just as well
// after some minutes. Longer than `until` waits, so that a failure says what was waited for.
const config: ViteUserConfig = defineConfig({ test: { testTimeout: 180_000, hookTimeout: 180_000 } });
export default config;
