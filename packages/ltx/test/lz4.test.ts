import fc from 'fast-check';
import { compress, decompress } from 'lz4-wasm-nodejs';
import { expect, test } from 'vitest';
import { isLtxError, kernel } from '../src/index.ts';
import { PAGE_SIZES, crc64Reference, fillPage, makePages, randomOf, seedTests } from './support.ts';

// The oracle is lz4_flex in its own WASM; it puts the size of the data, u32 little-endian, before the block.
const seed = seedTests();

function withSize(block: Uint8Array, size: number): Uint8Array {
  const bytes = new Uint8Array(4 + block.length);
  new DataView(bytes.buffer).setUint32(0, size, true);
  bytes.set(block, 4);
  return bytes;
}

function frameOf(pgno: number, block: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(10 + block.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, pgno);
  view.setUint16(4, 1);
  view.setUint32(6, block.length);
  bytes.set(block, 10);
  return bytes;
}

/** A block decoder straight from the format's description: undefined for what is not exactly one page. */
function decodeReference(block: Uint8Array, pageSize: number): Uint8Array | undefined {
  const out = new Uint8Array(pageSize);
  let at = 0;
  let size = 0;
  const length = (nibble: number): number => {
    let total = nibble;
    if (nibble < 15) return total;
    for (;;) {
      const more = block[at++];
      if (more === undefined) return NaN;
      total += more;
      if (more < 255) return total;
    }
  };
  while (at < block.length) {
    const token = block[at++] ?? 0;
    const literals = length(token >> 4);
    if (!(literals <= block.length - at && literals <= pageSize - size)) return undefined;
    out.set(block.subarray(at, at + literals), size);
    at += literals;
    size += literals;
    if (at === block.length) return (token & 15) === 0 && size === pageSize ? out : undefined;
    if (at + 2 > block.length) return undefined;
    const distance = (block[at] ?? 0) | ((block[at + 1] ?? 0) << 8);
    at += 2;
    const match = length(token & 15) + 4;
    if (distance === 0 || distance > size || !(match <= pageSize - size)) return undefined;
    for (let i = 0; i < match; i += 1) out[size + i] = out[size + i - distance] ?? 0;
    size += match;
  }
  return undefined;
}

test.each(PAGE_SIZES)('blocks of %i-byte pages: the oracle reads ours and we read its', (pageSize) => {
  const random = randomOf(seed + pageSize);
  const count = Math.max(16, Math.min(200, (1 << 19) / pageSize));
  const pages = makePages(count, pageSize, random);
  const pgnos = Array.from({ length: count }, (_, i) => i + 1);
  const { frames, sizes } = kernel().encodeFrames(pgnos, pages, pageSize, 0n);
  const [ours, lengths] = [frames.slice(), sizes.slice()];
  let at = 0;
  for (let i = 0; i < count; i += 1) {
    const page = pages.subarray(i * pageSize, (i + 1) * pageSize);
    const block = ours.subarray(at + 10, at + (lengths[i] ?? 0));
    expect(decompress(withSize(block, pageSize)), `page ${i}`).toEqual(page.slice());
    at += lengths[i] ?? 0;
    const theirs = compress(page);
    const decoded = kernel().decodeFrames(frameOf(i + 1, theirs.subarray(4)), pageSize, 0n);
    expect(decoded.pages.slice(), `page ${i}`).toEqual(page.slice());
  }
  expect(at).toBe(ours.length);
});

test('the running checksum covers frame headers and uncompressed pages', () => {
  const pages = makePages(5, 512, randomOf(seed));
  const { frames, sizes, crc } = kernel().encodeFrames([3, 4, 9, 10, 4000000000], pages, 512, 5n);
  let expected = 5n;
  let at = 0;
  for (const [i, size] of sizes.entries()) {
    expected = crc64Reference(frames.subarray(at, at + 10), expected);
    expected = crc64Reference(pages.subarray(512 * i, 512 * (i + 1)), expected);
    at += size;
  }
  expect(crc).toBe(expected);
  expect(kernel().decodeFrames(frames.slice(), 512, 5n).crc).toBe(expected);
});

test('damaged and made-up blocks: accepted exactly when the reference accepts, with its bytes', () => {
  let accepted = 0;
  let refused = 0;
  fc.assert(
    fc.property(
      fc.nat(),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }),
      fc.boolean(),
      (pageSeed, changes, cut) => {
        const random = randomOf(pageSeed);
        const page = new Uint8Array(512);
        fillPage(page, random);
        const whole = compress(page).subarray(4);
        const block = cut ? whole.slice(0, 1 + (random() % whole.length)) : whole.slice();
        for (const [at, value] of changes) block[at % block.length] = value;
        const expected = decodeReference(block, 512);
        // A good frame on either side shows that nothing outside the page is touched.
        const good = frameOf(1, compress(new Uint8Array(512).fill(7)).subarray(4));
        const bytes = new Uint8Array([...good, ...frameOf(2, block), ...good]);
        if (expected === undefined) {
          refused += 1;
          expect(() => kernel().decodeFrames(bytes, 512, 0n)).toThrow(
            expect.objectContaining({ code: 'BAD_PAGE', offset: good.length }),
          );
        } else {
          accepted += 1;
          const { count, pages } = kernel().decodeFrames(bytes, 512, 0n);
          expect(count).toBe(3);
          expect(pages.slice(512, 1024)).toEqual(expected);
          expect(pages.slice(1024).every((byte) => byte === 7)).toBe(true);
        }
      },
    ),
    { numRuns: 3000 },
  );
  expect(accepted).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(100);
});

test('random bytes as frames never do more than throw an LtxError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 400 }), fc.boolean(), (bytes, legacy) => {
      const head = legacy
        ? [0, 0, 0, 1, 0, 0, 4, 34, 77, 24, 100, 64, 167]
        : [0, 0, 0, 1, 0, 1, 0, 0, 0, bytes.length & 255];
      let fault: unknown;
      try {
        kernel().decodeFrames(new Uint8Array([...head, ...bytes]), 512, 0n);
      } catch (error) {
        fault = error;
      }
      expect(fault === undefined || isLtxError(fault)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test('decoding stops before a cut frame, at the page limit, and at the zero header', () => {
  const pages = makePages(4, 512, randomOf(seed));
  const { frames, sizes } = kernel().encodeFrames([1, 2, 3, 4], pages, 512, 0n);
  const all = new Uint8Array([...frames, 0, 0, 0, 0, 0, 0, 99]);
  const [first = 0, second = 0] = sizes;
  for (let cut = 0; cut < first; cut += 1) {
    const part = kernel().decodeFrames(all.subarray(0, cut), 512, 9n);
    expect(part).toMatchObject({ count: 0, consumed: 0, crc: 9n, endOfPages: false });
  }
  expect(kernel().decodeFrames(all.subarray(0, first + second - 1), 512, 0n)).toMatchObject({
    count: 1,
    consumed: first,
  });
  expect(kernel().decodeFrames(all, 512, 0n, 2)).toMatchObject({
    count: 2,
    consumed: first + second,
    endOfPages: false,
  });
  expect(kernel().decodeFrames(all, 512, 0n)).toMatchObject({ count: 4, consumed: all.length - 7, endOfPages: true });
});

test('a batch larger than what one call decodes is handed out in parts', () => {
  const count = 5000;
  const pgnos = Array.from({ length: count }, (_, i) => i + 1);
  const { frames } = kernel().encodeFrames(pgnos, new Uint8Array(count * 4096), 4096, 0n);
  let rest = frames.slice();
  let total = 0;
  while (rest.length > 0) {
    const part = kernel().decodeFrames(rest, 4096, 0n);
    expect(part.count).toBeGreaterThan(0);
    expect(part.pages.length).toBeLessThanOrEqual(16 << 20);
    total += part.count;
    rest = rest.subarray(part.consumed);
  }
  expect(total).toBe(count);
});

test('arguments that do not fit are refused', () => {
  const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
  expect(() => kernel().encodeFrames([1, 2], new Uint8Array(512), 512, 0n)).toThrow(refused);
  expect(() => kernel().encodeFrames([1], new Uint8Array(500), 500, 0n)).toThrow(refused);
  expect(() => kernel().decodeFrames(new Uint8Array(5), 4095, 0n)).toThrow(refused);
  expect(() => kernel().walChecksum(new Uint8Array(7), true, 0, 0)).toThrow(refused);
  expect(() => kernel().crc64Combine(0n, 0n, -1)).toThrow(refused);
});

test('bytes put where the kernel reads them are decoded and encoded as others are', () => {
  const k = kernel();
  const pageSize = 1024;
  const pages = new Uint8Array(3 * pageSize).map((_, i) => (i * i) >> 5);
  const encoded = k.encodeFrames([1, 2, 3], pages, pageSize, 0n);
  const frames = encoded.frames.slice();
  const place = k.input(pages.length);
  place.set(pages);
  const again = k.encodeFrames([1, 2, 3], place, pageSize, 0n);
  expect(again.frames.slice()).toEqual(frames);
  expect(again.crc).toBe(encoded.crc);
  const source = k.input(frames.length);
  source.set(frames);
  const decoded = k.decodeFrames(source, pageSize, 0n);
  expect(decoded.pages.slice()).toEqual(pages);
  expect(decoded.crc).toBe(encoded.crc);
  expect(decoded.crcLength).toBe(3 * (pageSize + 10));
  // More than the memory holds so far: it grows while the input stands in it.
  const large = k.input(64 << 20);
  large.fill(0);
  large.set(frames, 0);
  expect(k.decodeFrames(large.subarray(0, frames.length), pageSize, 0n).pages.slice()).toEqual(pages);
});
