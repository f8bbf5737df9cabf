import { describe, it } from 'vitest';

import { conformance } from '../src/conformance/index.ts';
import { MemoryClient, MemoryStore } from '../src/testing/index.ts';

const store = new MemoryStore();

conformance({
  name: 'memory',
  // On a busy machine, too; less than vitest gives a test.
  timeoutMs: 150_000,
  describe,
  it,
  client: (path) => new MemoryClient({ store, path }),
  runCount: 296,
});
