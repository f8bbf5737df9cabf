import { defineConfig, mergeConfig } from 'vitest/config';
import type { ViteUserConfig } from 'vitest/config';
import base from '../../vitest.base.ts';

// The tests create repositories and run their tests. The template's own test is not a test of this package.
const config: ViteUserConfig = mergeConfig(base, defineConfig({ test: { include: ['test/**/*.test.ts'] } }));
export default config;
