import { join } from 'node:path';
import { defineConfig, mergeConfig } from 'vitest/config';
import type { ViteUserConfig } from 'vitest/config';
import base from '../../vitest.base.ts';
import { repositoryRoot } from '../support/repository.ts';
import { unitTestFiles } from './files.ts';

const config: ViteUserConfig = mergeConfig(
  base,
  defineConfig({
    test: {
      root: repositoryRoot,
      include: [...unitTestFiles],
      // A worker loads core once, not for each file; `npm test` keeps files apart.
      isolate: false,
      setupFiles: [join(import.meta.dirname, 'unit-test-guard.ts')],
    },
  }),
);
export default config;
