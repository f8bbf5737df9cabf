/** A restore compares what it writes with the database checksum that the last file states. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { kernel, LtxEncoder, newHeader } from '@litestream/ltx';
import { expect, test } from 'vitest';
import type { LtxFileInfo, RestoreOptions } from '../src/index.ts';
import { restore } from '../src/index.ts';
import { MemoryClient, Seeded } from '../src/testing/index.ts';
import { checksumOf, recordingLogger } from './helpers/db-lab.ts';
import { encodeLtx } from './support/ltx-history.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const folder = temporaryFolder('proof');
const PAGE_SIZE = 512;
const random = new Seeded();
const state = random.bytes(40 * PAGE_SIZE);
// The page size, at its offset in a database header.
new DataView(state.buffer, state.byteOffset).setUint16(16, PAGE_SIZE);
const right = checksumOf(Buffer.from(state));
let count = 0;

/** A snapshot of 40 pages, then one transaction that changes page 7. */
async function replicaThatStates(databaseChecksum: bigint): Promise<MemoryClient> {
  const client = new MemoryClient();
  const pageOf = (pgno: number): Uint8Array => state.subarray((pgno - 1) * PAGE_SIZE, pgno * PAGE_SIZE);
  const all = new Map(Array.from({ length: 40 }, (_, index) => [index + 1, pageOf(index + 1)]));
  const stale = new Map([...all, [7, new Uint8Array(PAGE_SIZE)]]);
  const files = [
    [9, encodeLtx({ pageSize: PAGE_SIZE, commit: 40, minTxid: 1n, maxTxid: 1n, timestampMs: 1 }, stale)],
    [
      0,
      encodeLtx(
        {
          pageSize: PAGE_SIZE,
          commit: 40,
          minTxid: 2n,
          maxTxid: 2n,
          timestampMs: 2,
          extension: { walEndOffset: 32, databaseChecksum, previousChecksumHigh: 0 },
        },
        new Map([[7, pageOf(7)]]),
      ),
    ],
  ] as const;
  for (const [level, bytes] of files) {
    const txid = level === 0 ? 2n : 1n;
    const file: LtxFileInfo = {
      level,
      minTxid: txid,
      maxTxid: txid,
      size: bytes.length,
      timestamp: new Date(Number(txid)),
    };
    const open = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes;
    };
    await client.writeLtxFile(file, { size: bytes.length, open });
  }
  return client;
}

const options = (): RestoreOptions => ({ output: join(folder, `out-${count++}.db`) });

test.each([1, 2])('the database that was replicated is proven, with parallelism %i', async (parallelism) => {
  const client = await replicaThatStates(right);
  const result = await restore(client, { ...options(), parallelism });
  expect(result.proven).toBe(true);
  expect(Buffer.compare(readFileSync(result.output), state)).toBe(0);
  expect((await restore(client, { ...options(), proof: 'required' })).proven).toBe(true);
});

test('another database is refused with an error that names the file, and leaves no output, unless proof is ignored', async () => {
  const client = await replicaThatStates(right ^ 1n);
  for (const proof of [undefined, 'checked', 'required'] as const) {
    const wanted = { ...options(), proof };
    await expect(restore(client, wanted)).rejects.toMatchObject({
      code: 'CHECKSUM_MISMATCH',
      object: 'ltx/0/0000000000000002-0000000000000002.ltx',
    });
    expect(existsSync(wanted.output)).toBe(false);
  }
  const logger = recordingLogger();
  const result = await restore(client, { ...options(), proof: 'ignored', logger });
  expect(result.proven).toBe(false);
  expect(Buffer.compare(readFileSync(result.output), state)).toBe(0);
  expect(logger.lines).toMatchObject(
    expect.arrayContaining([
      expect.objectContaining({ level: 'warn', message: 'restored database is not the one that was replicated' }),
    ]) as unknown[],
  );
});

test('a state without a stated checksum is unproven, and refused if a proof is required', async () => {
  const client = await replicaThatStates(0n);
  expect((await restore(client, options())).proven).toBe(false);
  const wanted = { ...options(), proof: 'required' } as const;
  await expect(restore(client, wanted)).rejects.toMatchObject({ code: 'UNPROVEN' });
  expect(existsSync(wanted.output)).toBe(false);
});

test('a file of another program with the checksum of LTX itself is compared with that', async () => {
  const pgnos = Array.from({ length: 40 }, (_, index) => index + 1);
  const sums = kernel().pageChecksums(pgnos, state, PAGE_SIZE);
  const fields = { pageSize: PAGE_SIZE, commit: 40, minTxid: 1n, maxTxid: 1n, timestampMs: 1 };
  const encoder = new LtxEncoder({ ...newHeader(fields), flags: 0 });
  const ltxChecksum = sums.reduce((sum, each) => sum ^ each, 0n) | (1n << 63n);
  const parts = [
    encoder.begin().slice(),
    encoder.encodePages(pgnos, state).slice(),
    encoder.finish(ltxChecksum).slice(),
  ];
  const bytes = Buffer.concat(parts);
  const client = new MemoryClient();
  const open = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes;
  };
  const file = { level: 0, minTxid: 1n, maxTxid: 1n, timestamp: new Date(1) };
  await client.writeLtxFile(file, { size: bytes.length, open });
  expect((await restore(client, options())).proven).toBe(true);
});

test('a mode that does not exist is refused', async () => {
  const client = await replicaThatStates(right);
  await expect(restore(client, { ...options(), proof: 'maybe' as 'checked' })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});
