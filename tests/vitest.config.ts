import { defineConfig, mergeConfig } from 'vitest/config';
import type { ViteUserConfig } from 'vitest/config';
import base from '../vitest.base.ts';

const config: ViteUserConfig = mergeConfig(
  base,
  defineConfig({
    test: { include: ['test/**/*.test.ts', 'nats/**/*.test.ts', 'chaos/**/*.test.ts', 'reports/**/*.test.ts'] },
  }),
);
export default config;
