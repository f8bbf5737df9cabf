import { randomBytes } from 'node:crypto';

import type { Body, LtxFileRef } from '@litestream/core';

import { SftpReplicaClient } from '../src/index.ts';
import type { SftpOptions } from '../src/index.ts';
import type { SftpTestServer } from './sftp-server.ts';

export function clientFor(server: SftpTestServer, options: Partial<SftpOptions> = {}): SftpReplicaClient {
  const { host, user, keyPath, hostKey } = server;
  return new SftpReplicaClient({ host, user, keyPath, hostKey, path: `${server.data}/app`, ...options });
}

export function file(txid: bigint, level = 0): LtxFileRef & { timestamp: Date } {
  return { level, minTxid: txid, maxTxid: txid, timestamp: new Date('2026-11-24T01:02:03.650Z') };
}

/** A body that comes in chunks of 100,000 bytes. */
export function bodyOf(bytes: Buffer): Body {
  return {
    size: bytes.length,
    open: async function* () {
      for (let from = 0; from < bytes.length; from += 100_000) yield bytes.subarray(from, from + 100_000);
    },
  };
}

export function randomBody(size: number): { bytes: Buffer; body: Body } {
  const bytes = randomBytes(size);
  return { bytes, body: bodyOf(bytes) };
}

export async function readAll(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(body));
}
