/** Files that others wrote: legacy LZ4 frames, database checksums, and replicas of the Go program. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LtxDecoder } from '@litestream/ltx';
import { describe, expect, test } from 'vitest';
import { FileClient } from '../src/storage/file/file-client.ts';
import { restore } from '../src/restore/restore.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { once } from './support/ltx-history.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const folder = temporaryFolder('restore-foreign');
const packages = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** The database in a snapshot, by way of the streaming decoder. */
async function databaseOf(bytes: Buffer): Promise<{ state: Buffer; maxTxid: bigint; timestampMs: number }> {
  const decoder = new LtxDecoder(once(bytes));
  const { pageSize, commit, maxTxid, timestampMs } = await decoder.header();
  const state = Buffer.alloc(pageSize * commit);
  for await (const { pgnos, pages } of decoder.batches()) {
    pgnos.forEach((pgno, index) =>
      state.set(pages.subarray(index * pageSize, (index + 1) * pageSize), (pgno - 1) * pageSize),
    );
  }
  await decoder.finish();
  return { state, maxTxid, timestampMs };
}

describe('single files', () => {
  test.each(['snapshot-of-lz4-frames.ltx', 'snapshot-with-checksums.ltx'])('%s', async (name) => {
    const bytes = readFileSync(join(packages, 'ltx', 'test', 'fixtures', name));
    const { state, maxTxid, timestampMs } = await databaseOf(bytes);
    expect(state.length).toBeGreaterThan(0);
    const client = new MemoryClient();
    const file = { level: 9, minTxid: 1n, maxTxid, timestamp: new Date(timestampMs) };
    await client.writeLtxFile(file, { open: () => once(bytes) });
    const output = join(folder, `${name}.db`);
    await restore(client, { output });
    expect(readFileSync(output).equals(state)).toBe(true);
  });
});

describe('replicas made by Go 0.5.17', () => {
  const fixtures = join(packages, '..', 'tests', 'fixtures', 'go-0.5.17');
  const names = readdirSync(fixtures, { withFileTypes: true }).filter((entry) => entry.isDirectory());

  test('there are some', () => {
    expect(names.length).toBeGreaterThan(0);
  });

  test.each(names.map(({ name }) => name))('%s passes the integrity check at every level-0 TXID', async (name) => {
    const client = new FileClient({ path: join(fixtures, name, 'replica') });
    mkdirSync(join(folder, name), { recursive: true });
    const newest = await restore(client, { output: join(folder, name, 'newest.db'), integrityCheck: 'full' });
    expect(existsSync(newest.output)).toBe(true);
    for await (const { maxTxid } of client.ltxFiles(0)) {
      const output = join(folder, name, `${maxTxid}.db`);
      const result = await restore(client, { output, txid: maxTxid, integrityCheck: 'quick' });
      expect(result.txid).toBe(maxTxid);
    }
  });
});
