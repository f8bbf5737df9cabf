import { expect, test } from 'vitest';
import { lockPageNumber, newHeader } from '../src/index.ts';
import { PageOrder } from '../src/format/page-order.ts';
import { PAGE_SIZES, chunked, decodeFile, encodeFile } from './support.ts';

const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' });

test('the page that holds byte 2^30', () => {
  expect(PAGE_SIZES.map(lockPageNumber)).toEqual([2097153, 1048577, 524289, 262145, 131073, 65537, 32769, 16385]);
});

test.each(PAGE_SIZES)('an increment of %i-byte pages goes around it', async (pageSize) => {
  const lock = lockPageNumber(pageSize);
  const header = { pageSize, commit: lock + 2, minTxid: 2n, maxTxid: 2n };
  const pages = new Uint8Array(3 * pageSize).fill(1);
  const around = [lock - 1, lock + 1, lock + 2];
  expect((await decodeFile(chunked(encodeFile(header, around, pages)))).pgnos).toEqual(around);
  expect(() => encodeFile(header, [lock - 1, lock, lock + 1], pages)).toThrow(refused);
});

test('a file that holds it is refused', async () => {
  const file = encodeFile({ pageSize: 65536, commit: 20000, minTxid: 2n, maxTxid: 2n }, [16384], new Uint8Array(65536));
  new DataView(file.buffer).setUint32(100, 16385);
  await expect(decodeFile(chunked(file))).rejects.toMatchObject({ code: 'BAD_PAGE', offset: 100, file: 'test.ltx' });
});

test.each([4096, 8192, 16384, 32768, 65536])('a snapshot of %i-byte pages past 1 GiB', (pageSize) => {
  const lock = lockPageNumber(pageSize);
  const numbers = (first: number, last: number): number[] =>
    Array.from({ length: last - first + 1 }, (_, i) => first + i).filter((pgno) => pgno !== lock);
  const start = (commit: number): PageOrder => new PageOrder(newHeader({ pageSize, commit, minTxid: 1n, maxTxid: 1n }));
  const next = (order: PageOrder, pgnos: number[]): PageOrder => {
    order.next(pgnos, 'INVALID_ARGUMENT', () => ({}));
    return order;
  };
  for (const commit of [lock - 1, lock, lock + 1, lock + 3]) {
    const all = numbers(1, commit);
    const order = next(start(commit), all);
    order.end({});
    expect(order.count).toBe(all.length);
    const short = next(start(commit), all.slice(0, -1));
    expect(() => short.end({})).toThrow(expect.objectContaining({ code: 'BAD_PAGE' }));
  }
  expect(() => next(start(lock + 3), [...numbers(1, lock - 1), lock])).toThrow(refused);
  expect(() => next(start(lock + 3), [...numbers(1, lock - 1), lock + 2])).toThrow(refused);
});
