import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeHeader,
  encodeHeader,
  formatLtxFilename,
  formatTxid,
  isLtxError,
  newHeader,
  parseLtxFilename,
  parseTxid,
} from '../src/index.ts';
import type { LtxHeader } from '../src/index.ts';
import { PAGE_SIZES, seedTests } from './support.ts';

seedTests();
const good = newHeader({ pageSize: 4096, commit: 3, minTxid: 2n, maxTxid: 3n, timestampMs: 1_700_000_000_000 });
const flag = 1n << 63n;
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const u64 = fc.bigInt(1n, 2n ** 64n - 1n);

test('every valid header survives', () => {
  const headers = fc.record({
    pageSize: fc.constantFrom(...PAGE_SIZES),
    commit: u32,
    ids: fc.tuple(u64, u64),
    timestampMs: fc.integer({ min: -8.64e15, max: 8.64e15 }),
    checksum: fc.bigInt(flag, 2n * flag - 1n),
    checksums: fc.boolean(),
    walOffset: fc.integer({ min: 1, max: 2 ** 53 - 1 }),
    salts: fc.tuple(u32, u32),
    nodeId: u64,
    createdAtMs: fc.option(fc.integer({ min: 0, max: 2 ** 48 - 1 })),
    high: fc.integer({ min: 2 ** 31, max: 2 ** 32 - 1 }),
  });
  fc.assert(
    fc.property(headers, (given) => {
      const [minTxid, maxTxid] = given.ids[0] < given.ids[1] ? given.ids : [given.ids[1], given.ids[0]];
      const header: LtxHeader = {
        flags: given.checksums ? 0 : 2,
        pageSize: given.pageSize,
        commit: given.commit,
        minTxid,
        maxTxid,
        timestampMs: given.timestampMs,
        preApplyChecksum: given.checksums && minTxid !== 1n ? given.checksum : 0n,
        walOffset: given.walOffset,
        walSize: given.walOffset,
        salt1: given.salts[0],
        salt2: given.salts[1],
        nodeId: given.nodeId,
        ...(given.createdAtMs === null
          ? {}
          : {
              extension: {
                createdAtMs: given.createdAtMs,
                databaseChecksum: given.checksum,
                previousChecksumHigh: given.high,
              },
            }),
      };
      expect(decodeHeader(encodeHeader(header))).toEqual(header);
    }),
  );
});

test.each<[string, Partial<LtxHeader>]>([
  ['unknown flags', { flags: 1 }],
  ['page size 0', { pageSize: 0 }],
  ['page size 256', { pageSize: 256 }],
  ['page size 131072', { pageSize: 131072 }],
  ['page size 4097', { pageSize: 4097 }],
  ['no first transaction', { minTxid: 0n }],
  ['no last transaction', { minTxid: 0n, maxTxid: 0n }],
  ['transactions out of order', { minTxid: 4n }],
  ['negative WAL offset', { walOffset: -1 }],
  ['negative WAL size', { walOffset: 32, walSize: -1 }],
  ['salts without offset', { salt2: 1 }],
  ['WAL size without offset', { walSize: 9 }],
  ['a checksum before, in a snapshot', { minTxid: 1n, preApplyChecksum: flag }],
  ['a checksum before, in a file without', { preApplyChecksum: flag }],
  ['no checksum before, in a file with', { flags: 0 }],
  ['a checksum without its flag', { flags: 0, preApplyChecksum: 5n }],
  ['a time that is no integer', { timestampMs: 0.5 }],
  ['a time past what a Date holds', { timestampMs: 8.64e15 + 1 }],
  ['a time before what a Date holds', { timestampMs: -8.64e15 - 1 }],
  ['a commit past 2^32', { commit: 2 ** 32 }],
  [
    'an extension time past 2^48',
    { extension: { createdAtMs: 2 ** 48, databaseChecksum: 0n, previousChecksumHigh: 0 } },
  ],
  [
    'an extension checksum without its flag',
    { extension: { createdAtMs: 1, databaseChecksum: 1n, previousChecksumHigh: 0 } },
  ],
  [
    'an extension half without its flag',
    { extension: { createdAtMs: 1, databaseChecksum: 0n, previousChecksumHigh: 1 } },
  ],
])('%s is refused', (_, fields) => {
  expect(() => encodeHeader({ ...good, ...fields })).toThrow(expect.objectContaining({ code: 'BAD_HEADER' }));
});

test('decoding refuses what encoding refuses', () => {
  const change = (at: number, ...bytes: number[]): unknown => {
    const header = encodeHeader(good);
    header.set(bytes, at);
    try {
      decodeHeader(header, { file: 'f.ltx' });
      return undefined;
    } catch (error) {
      if (!isLtxError(error)) throw error;
      return { code: error.code, file: error.file, offset: error.offset };
    }
  };
  expect(change(0, 0x4d)).toEqual({ code: 'NOT_LTX', file: 'f.ltx', offset: 0 });
  expect(change(7, 4)).toEqual({ code: 'BAD_HEADER', file: 'f.ltx', offset: 4 });
  expect(change(10, 0x11)).toMatchObject({ code: 'BAD_HEADER', offset: 8 });
  expect(change(16, 0xff)).toMatchObject({ code: 'BAD_HEADER', offset: 16 });
  expect(change(32, 0x7f)).toMatchObject({ code: 'BAD_HEADER', offset: 32 });
  expect(change(48, 0xff)).toMatchObject({ code: 'BAD_HEADER', offset: 48 });
  expect(change(40, 0x80)).toMatchObject({ code: 'BAD_HEADER', offset: 40 });
  expect(() => decodeHeader(encodeHeader(good).subarray(0, 99))).toThrow(
    expect.objectContaining({ code: 'TRUNCATED' }),
  );
});

test('reserved bytes of others are ignored; ours are read', () => {
  const bytes = encodeHeader(good);
  expect(bytes.subarray(80).every((byte) => byte === 0)).toBe(true);
  bytes.fill(0xee, 80);
  expect(decodeHeader(bytes)).toEqual(good);
  const extension = { createdAtMs: 1_690_000_000_123, databaseChecksum: flag | 77n, previousChecksumHigh: 0x80000009 };
  const ours = encodeHeader({ ...good, extension });
  expect([...ours.subarray(80, 88)]).toEqual([0x54, 0x53, 0x01, 0x89, 0x7b, 0xd9, 0x84, 0x7b]);
  expect(decodeHeader(ours).extension).toEqual(extension);
});

test('a new header carries no checksums and the time now', () => {
  const beforeMs = Date.now();
  const header = newHeader({ pageSize: 512, commit: 1, minTxid: 1n, maxTxid: 1n });
  expect(header.flags).toBe(2);
  expect(header.timestampMs).toBeGreaterThanOrEqual(beforeMs);
  expect(header.timestampMs).toBeLessThanOrEqual(Date.now());
});

test('transaction ids and file names', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 64n - 1n), u64, (a, b) => {
      expect(parseTxid(formatTxid(a))).toBe(a);
      expect(parseLtxFilename(formatLtxFilename(a, b))).toEqual({ minTxid: a, maxTxid: b });
    }),
  );
  expect(formatLtxFilename(1n, 255n)).toBe('0000000000000001-00000000000000ff.ltx');
  for (const text of ['', '1', '000000000000000g', '00000000000000001', ' 000000000000001', '0x00000000000001']) {
    expect(() => parseTxid(text)).toThrow(expect.objectContaining({ code: 'BAD_TXID' }));
  }
  for (const name of [
    '',
    'x.ltx',
    '0000000000000001-00000000000000FF.ltx',
    '0000000000000001-00000000000000ff.ltx.tmp',
  ]) {
    expect(parseLtxFilename(name)).toBeUndefined();
  }
});
