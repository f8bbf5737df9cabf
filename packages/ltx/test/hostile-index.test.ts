import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodePageIndex, isLtxError, readPageIndex } from '../src/index.ts';
import { chunked, collect, encodeFile, seedTests } from './support.ts';

seedTests();

function withSize(entries: readonly number[], size = entries.length + 1): Uint8Array {
  const bytes = new Uint8Array([...entries, 0, ...new Uint8Array(8)]);
  new DataView(bytes.buffer).setBigUint64(entries.length + 1, BigInt(size));
  return bytes;
}

const bad = expect.objectContaining({ code: 'BAD_INDEX' });

test('an empty index', () => {
  expect(decodePageIndex(withSize([])).count).toBe(0);
});

test.each([
  ['a wrong size', withSize([1, 100, 20], 7)],
  ['a huge size', withSize([1, 100, 20], Number.MAX_SAFE_INTEGER)],
  ['nothing', new Uint8Array(0)],
  ['half an entry', withSize([1, 100])],
  ['page 0', withSize([0, 100, 20])],
  ['a page twice', withSize([1, 100, 20, 1, 120, 20])],
  ['pages out of order', withSize([2, 100, 20, 1, 120, 20])],
  ['a gap between frames', withSize([1, 100, 20, 2, 121, 20])],
  ['overlapping frames', withSize([1, 100, 20, 2, 119, 20])],
  ['a first frame elsewhere', withSize([1, 99, 20])],
  ['a frame of no size', withSize([1, 100, 0])],
  ['a frame too long', withSize([1, 100, 0xff, 0xff, 0x7f])],
  ['a page number past 2^32', withSize([0xff, 0xff, 0xff, 0xff, 0x7f, 100, 20])],
  ['a varint of ten bytes', withSize([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 100, 20])],
  ['a varint with leading zeros', withSize([0x81, 0, 100, 20])],
  ['an endless varint', withSize([1, 100, 20, 0x80, 0x80, 0x80])],
])('%s is refused', (_, bytes) => {
  expect(() => decodePageIndex(bytes)).toThrow(bad);
});

test('random bytes are refused with an LtxError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      expect(outcome(() => decodePageIndex(withSize([...bytes])))).toMatch(/^(decoded|LtxError)$/);
    }),
    { numRuns: 3000 },
  );
});

test('a size that points before the pages is refused without a large read', async () => {
  const file = encodeFile({ pageSize: 512, commit: 3, minTxid: 2n, maxTxid: 2n }, [1], new Uint8Array(512));
  for (const size of [0n, 1n << 63n, 2n ** 64n - 1n, BigInt(file.length)]) {
    const bytes = await collect(chunked(file));
    new DataView(bytes.buffer).setBigUint64(bytes.length - 24, size);
    let asked = 0;
    const read = async (at: number, length: number): Promise<Uint8Array> => {
      asked += length;
      return bytes.subarray(at, at + length);
    };
    await expect(readPageIndex({ size: bytes.length, read })).rejects.toThrow(bad);
    expect(asked).toBeLessThanOrEqual(file.length);
  }
});

test('a read that comes back short is refused', async () => {
  const short = { size: 5000, read: async (_: number, size: number) => new Uint8Array(size - 1) };
  await expect(readPageIndex(short, { file: 'a.ltx' })).rejects.toMatchObject({ code: 'TRUNCATED', file: 'a.ltx' });
});

function outcome(work: () => unknown): string {
  try {
    work();
    return 'decoded';
  } catch (error) {
    return isLtxError(error) ? 'LtxError' : String(error);
  }
}
