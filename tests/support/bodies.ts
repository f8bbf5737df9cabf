/** Bodies, bytes and names of files that the tests of clients write and read. */
import { randomBytes } from 'node:crypto';

import type { Body } from '@litestream/core';

/** A body of random bytes in pieces that share one buffer, as an encoder's do. */
export function randomBody(size: number): { bytes: Buffer; body: Body } {
  const bytes = randomBytes(size);
  return { bytes, body: { size, open: () => pieces(bytes) } };
}

async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  const shared = Buffer.alloc(64 * 1024);
  for (let start = 0; start < bytes.byteLength; start += shared.byteLength) {
    const size = bytes.copy(shared, 0, start);
    yield shared.subarray(0, size);
  }
  await Promise.resolve();
}

export async function readAll(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(source));
}

export const file = (txid: bigint, level = 0): { level: number; minTxid: bigint; maxTxid: bigint } => ({
  level,
  minTxid: txid,
  maxTxid: txid,
});

export const MIB: number = 1024 * 1024;
