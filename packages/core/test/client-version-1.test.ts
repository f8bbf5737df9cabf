/** What core adds to the contract must not break a client that was published before: one is kept here as it was. */
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import type { ReplicaClient } from '../src/client/contract.ts';
import { resolveCapabilities } from '../src/client/capabilities.ts';
import { Leaser } from '../src/client/leaser.ts';
import { conformance } from '../src/conformance/index.ts';
import { PluginRegistry } from '../src/plugin/registry.ts';

const module = fileURLToPath(new URL('helpers/client-version-1.mjs', import.meta.url));
const { ClientVersion1 } = (await import(module)) as { ClientVersion1: new (path: string) => ReplicaClient };

conformance({ name: 'a client of version 1', describe, it, client: (path) => new ClientVersion1(path), runCount: 200 });

describe('a client of version 1', () => {
  it('is found, guarded and used as a plugin', async () => {
    const registry = new PluginRegistry();
    await registry.load(module);
    await using client = await registry.createClient({ url: 'old://somewhere/app' });
    const file = { level: 0, minTxid: 1n, maxTxid: 1n };
    const bytes = Buffer.from('bytes');
    await client.writeLtxFile(
      { ...file, timestamp: new Date() },
      {
        async *open() {
          yield bytes;
          await Promise.resolve();
        },
      },
    );
    expect(await Array.fromAsync(client.ltxFiles(0))).toMatchObject([{ ...file, size: 5 }]);
    expect(Buffer.concat(await Array.fromAsync(await client.openLtxFile(file, { offset: 2 }))).toString()).toBe('tes');
    await expect(client.openLtxFile({ ...file, minTxid: 2n, maxTxid: 2n })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('has every capability that it never heard of answered with a default, and leases refused', async () => {
    const resolved = resolveCapabilities(new ClientVersion1('x').capabilities);
    expect(Object.values(resolved)).not.toContain(undefined);
    expect(resolved).toMatchObject({ objects: false, conditions: false, timestamps: 'none', batchDelete: false });
    const leaser = new Leaser(new ClientVersion1('x'));
    await expect(leaser.acquire()).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });
});
