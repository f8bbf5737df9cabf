/** The shortest proof that a client and a server understand each other: write, list, read, delete. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { createClient } from './clients.ts';
import type { RunningService } from './service.ts';

/** @returns what was moved, for the table */
export async function roundTrip(running: RunningService): Promise<string> {
  await using client = await createClient(running, `round trip/${process.pid} ü`);
  await client.init();
  const timestamp = new Date('2026-11-24T01:02:03.650Z');
  const sizes = [1, 4096, 12 * 1024 * 1024 + 1];
  let total = 0;
  for (const [index, size] of sizes.entries()) {
    const txid = BigInt(index + 1);
    const bytes = randomBytes(size);
    const file = { level: 0, minTxid: txid, maxTxid: txid };
    const written = await client.writeLtxFile({ ...file, timestamp }, { size, open: () => slices(bytes) });
    assert.equal(written.size, size);
    assert.deepEqual(Buffer.concat(await Array.fromAsync(await client.openLtxFile(file))), bytes);
    if (client.capabilities.ranges !== false) {
      const tail = await Array.fromAsync(await client.openLtxFile(file, { offset: Math.floor(size / 2) }));
      assert.deepEqual(Buffer.concat(tail), bytes.subarray(Math.floor(size / 2)));
    }
    total += size;
  }
  const listed = await Array.fromAsync(client.ltxFiles(0, { useMetadata: true }));
  assert.deepEqual(
    listed.map((file) => [file.minTxid, file.size]),
    sizes.map((size, index) => [BigInt(index + 1), size]),
  );
  if ((client.capabilities.timestamps ?? 'none') !== 'none') {
    const resolutionMs = client.capabilities.timestampResolutionMs ?? 1;
    const expected = Math.floor(timestamp.getTime() / resolutionMs) * resolutionMs;
    assert.deepEqual(new Set(listed.map((file) => file.timestamp.getTime())), new Set([expected]));
  }
  await client.deleteLtxFiles(listed.slice(0, 1));
  await client.deleteAll();
  assert.deepEqual(await Array.fromAsync(client.ltxFiles(0)), []);
  return `${sizes.length} files, ${(total / 1024 / 1024).toFixed(1)} MiB`;
}

async function* slices(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.byteLength; start += 65_537) yield bytes.subarray(start, start + 65_537);
  await Promise.resolve();
}
