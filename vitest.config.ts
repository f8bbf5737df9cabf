/** Every package's tests in one pool: no suite waits for the slowest file of another. */
import { defineConfig, mergeConfig } from 'vitest/config';
import type { ViteUserConfig } from 'vitest/config';
import { LongestFirst } from './tests/order/longest-first.ts';
import base from './vitest.base.ts';

// A run that shuffles its files says so on its command line. Vitest ignores that if the config sets a sequencer.
const isShuffled = process.argv.some((argument) => argument.startsWith('--sequence.shuffle'));

const config: ViteUserConfig = mergeConfig(
  base,
  defineConfig({
    test: {
      projects: ['packages/*/vitest.config.ts', 'tests/vitest.config.ts'],
      ...(!isShuffled && { sequence: { sequencer: LongestFirst } }),
    },
  }),
);
export default config;
