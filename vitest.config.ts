/** Every package's tests in one pool: no suite waits for the slowest file of another. */
import { defineConfig, mergeConfig } from 'vitest/config';
import type { ViteUserConfig } from 'vitest/config';
import base from './vitest.base.ts';

const config: ViteUserConfig = mergeConfig(
  base,
  defineConfig({ test: { projects: ['packages/*/vitest.config.ts', 'tests/vitest.config.ts'] } }),
);
export default config;
