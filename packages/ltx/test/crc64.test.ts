import fc from 'fast-check';
import { expect, test } from 'vitest';
import { kernel } from '../src/index.ts';
import { crc64Reference, makePages, randomOf, seedTests } from './support.ts';

const seed = seedTests();

test('the check value of CRC-64/GO-ISO', () => {
  expect(kernel().crc64(new TextEncoder().encode('123456789'))).toBe(0xb90956c775a41001n);
  expect(kernel().crc64(new Uint8Array(0))).toBe(0n);
});

test('every length to 700 bytes equals the bitwise reference', () => {
  const random = randomOf(seed);
  const bytes = Uint8Array.from({ length: 700 }, random);
  for (let length = 0; length <= bytes.length; length += 1) {
    const part = bytes.subarray(0, length);
    expect(kernel().crc64(part, 77n), `${length} bytes`).toBe(crc64Reference(part, 77n));
  }
});

test('any cut, any seed: running and combining equal the reference', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(), fc.bigInt(0n, 2n ** 64n - 1n), (bytes, cut, start) => {
      const at = cut % (bytes.length + 1);
      const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
      const whole = crc64Reference(bytes, start);
      const k = kernel();
      expect(k.crc64(tail, k.crc64(head, start))).toBe(whole);
      expect(k.crc64Combine(k.crc64(head, start), k.crc64(tail), tail.length)).toBe(whole);
    }),
    { numRuns: 60 },
  );
});

test('inputs longer than one piece of the kernel, combined over lengths past 2^32', () => {
  const k = kernel();
  const bytes = new Uint8Array((2 << 20) + 77).fill(0xa5);
  const half = bytes.subarray(0, 1 << 20);
  const rest = bytes.subarray(1 << 20);
  expect(k.crc64(bytes)).toBe(k.crc64Combine(k.crc64(half), k.crc64(rest), rest.length));
  // Associativity holds at lengths nobody can store.
  const long = 2 ** 40 + 3;
  const b = 0x1234567890abcdefn;
  expect(k.crc64Combine(k.crc64Combine(1n, 0n, long), b, 8)).toBe(k.crc64Combine(1n, b, long + 8));
});

test('page checksums: flag and CRC of number and page, zero for the lock page', () => {
  const random = randomOf(seed);
  const pages = makePages(3, 512, random);
  const lock = 0x40000000 / 512 + 1;
  const sums = kernel().pageChecksums([7, lock, 0xfffffffe], pages, 512);
  const expected = (pgno: number, i: number): bigint => {
    const bytes = new Uint8Array(516);
    new DataView(bytes.buffer).setUint32(0, pgno);
    bytes.set(pages.subarray(512 * i, 512 * (i + 1)), 4);
    return (1n << 63n) | crc64Reference(bytes);
  };
  expect([...sums]).toEqual([expected(7, 0), 0n, expected(0xfffffffe, 2)]);
});

test('page hashes: the page checksum through the finalizer of MurmurHash3', () => {
  const pages = makePages(3, 512, randomOf(seed));
  const lock = 0x40000000 / 512 + 1;
  const mask = (1n << 64n) - 1n;
  const expected = (pgno: number, i: number): bigint => {
    const bytes = new Uint8Array(516);
    new DataView(bytes.buffer).setUint32(0, pgno);
    bytes.set(pages.subarray(512 * i, 512 * (i + 1)), 4);
    let hash = crc64Reference(bytes);
    hash = ((hash ^ (hash >> 33n)) * 0xff51afd7ed558ccdn) & mask;
    hash = ((hash ^ (hash >> 33n)) * 0xc4ceb9fe1a85ec53n) & mask;
    return (1n << 63n) | (hash ^ (hash >> 33n));
  };
  expect([...kernel().pageHashes([7, lock, 0xfffffffe], pages, 512)]).toEqual([
    expected(7, 0),
    0n,
    expected(0xfffffffe, 2),
  ]);
});

test('the xor of page hashes shows what that of page checksums hides: pages swapped, or changed alike', () => {
  const k = kernel();
  const before = makePages(2, 512, randomOf(seed));
  const swapped = new Uint8Array([...before.subarray(512), ...before.subarray(0, 512)]);
  const alike = before.slice();
  for (const at of [70, 512 + 70]) alike[at] = (alike[at] ?? 0) ^ 1;
  const xor = (of: BigUint64Array): bigint => of.reduce((sum, each) => sum ^ each, 0n);
  for (const after of [swapped, alike]) {
    expect(xor(k.pageChecksums([3, 4], after, 512))).toBe(xor(k.pageChecksums([3, 4], before, 512)));
    expect(xor(k.pageHashes([3, 4], after, 512))).not.toBe(xor(k.pageHashes([3, 4], before, 512)));
  }
});

test('results that come back as arguments are read before they are overwritten', () => {
  const k = kernel();
  const pages = makePages(8, 1024, randomOf(seed));
  const pgnos = [1, 2, 3, 4, 5, 6, 7, 8];
  const frames = k.encodeFrames(pgnos, pages, 1024, 0n);
  const decoded = k.decodeFrames(frames.frames, 1024, 0n);
  expect(decoded.count).toBe(8);
  expect(k.pageChecksums(decoded.pgnos, decoded.pages, 1024)).toEqual(k.pageChecksums(pgnos, pages, 1024));
});
