/** An adapter's proof as an adapter's author writes it, for whichever runner hands in its own `describe` and `it`. */
import { conformance } from '@litestream/core/conformance';
import { MemoryClient, MemoryStore } from '@litestream/core/testing';

export function prove(describe, it) {
  const store = new MemoryStore();
  conformance({
    name: 'memory',
    describe,
    it,
    client: (path) => {
      const client = new MemoryClient({ store, path });
      // Lets the test see that a fault of the client fails the runner.
      if (process.env.PROOF_BREAK) client.deleteAll = async () => undefined;
      return client;
    },
    variations: ['direct', 'faults'],
    fileCount: 50,
    // On a busy machine, too; less than the runners give a test.
    timeoutMs: 150_000,
    runCount: 148,
  });
}
