import { defineConfig, mergeConfig } from 'vitest/config';
import type { ViteUserConfig } from 'vitest/config';
import base from '../../vitest.base.ts';

// The tests generate repositories and run what they hold. The template's own test is no test of this package.
const config: ViteUserConfig = mergeConfig(base, defineConfig({ test: { include: ['test/**/*.test.ts'] } }));
export default config;
