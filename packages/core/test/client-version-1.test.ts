/** What core adds to the contract must not break a client that was published before: one is kept here as it was. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, onTestFinished } from 'vitest';

import type { ReplicaClient } from '../src/storage/contract/contract.ts';
import { resolveCapabilities } from '../src/storage/contract/capabilities.ts';
import { Leaser } from '../src/lease/leaser.ts';
import { conformance } from '../src/conformance/index.ts';
import { Litestream } from '../src/litestream/litestream.ts';
import type { LitestreamPlugin } from '../src/plugins/plugin.ts';
import { PluginRegistry } from '../src/plugins/registry.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const module = fileURLToPath(new URL('helpers/client-version-1.mjs', import.meta.url));
const { ClientVersion1, default: plugin } = (await import(module)) as {
  ClientVersion1: new (path: string) => ReplicaClient;
  default: LitestreamPlugin;
};

conformance({
  name: 'a client of version 1',
  // On a busy machine, too; less than vitest gives a test.
  timeoutMs: 150_000,
  describe,
  it,
  client: (path) => new ClientVersion1(path),
  runCount: 200,
});

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

  it('replicates a database and restores it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'litestream-version-1-'));
    onTestFinished(() => removeFolder(folder, { force: true }));
    const [source, output] = [join(folder, 'app.db'), join(folder, 'copy.db')];
    const app = new DatabaseSync(source);
    app.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)');
    const litestream = new Litestream({ plugins: [plugin] });
    const database = await litestream.replicate(source, 'old://somewhere/whole');
    app.exec('INSERT INTO t VALUES (2)');
    await database.replicated();
    await litestream.stop();
    await new Litestream({ plugins: [plugin] }).restore('old://somewhere/whole', { output });
    app.close();
    const restored = new DatabaseSync(output);
    expect(restored.prepare('SELECT x FROM t ORDER BY x').all()).toEqual([{ x: 1 }, { x: 2 }]);
    restored.close();
  });

  it('has every capability that it never heard of answered with a default, and leases refused', async () => {
    const resolved = resolveCapabilities(new ClientVersion1('x').capabilities);
    expect(Object.values(resolved)).not.toContain(undefined);
    expect(resolved).toMatchObject({ objects: false, conditions: false, timestamps: 'none', batchDelete: false });
    const leaser = new Leaser(new ClientVersion1('x'));
    await expect(leaser.acquire()).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });
});
