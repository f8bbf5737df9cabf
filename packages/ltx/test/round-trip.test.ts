import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LtxDecoder, LtxEncoder, decodePageIndex, kernel, newHeader, readPageIndex, verifyLtx } from '../src/index.ts';
import {
  PAGE_SIZES,
  chunked,
  collect,
  concat,
  decodeFile,
  encodeFile,
  makePages,
  randomOf,
  seedTests,
  upTo,
} from './support.ts';

const seed = seedTests();

test.each(PAGE_SIZES)('files of %i-byte pages, any pages, any batches, any chunks', async (pageSize) => {
  const pgnosOf = fc.uniqueArray(fc.integer({ min: 1, max: 2000 }), { minLength: 0, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(
      pgnosOf,
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 70000 }),
      fc.nat(),
      fc.boolean(),
      async (set, batch, chunkSize, pageSeed, snapshot) => {
        const pgnos = snapshot ? upTo(set.length + 1) : set.sort((a, b) => a - b);
        const pages = makePages(pgnos.length, pageSize, randomOf(pageSeed));
        const minTxid = snapshot ? 1n : 5n;
        const commit = snapshot ? pgnos.length : 2000;
        const file = encodeFile({ pageSize, commit, minTxid, maxTxid: 9n }, pgnos, pages, { batch });
        const got = await decodeFile(chunked(file, chunkSize), 1 << 15);
        expect(got.pgnos).toEqual(pgnos);
        expect(Buffer.compare(got.pages, pages)).toBe(0);
        expect(got).toMatchObject({ size: file.length, postApplyChecksum: 0n, header: { pageSize, commit, minTxid } });

        const access = { size: file.length, read: async (at: number, size: number) => file.subarray(at, at + size) };
        const { index, trailer, pagesEnd } = await readPageIndex(access);
        expect([...index.pgnos]).toEqual(pgnos);
        expect(trailer.fileChecksum).toBe(got.fileChecksum);
        expect(pagesEnd).toBe(100 + got.frames.length);
        for (const [i, pgno] of pgnos.entries()) {
          const entry = index.find(pgno);
          const frame = file.subarray(entry?.offset, (entry?.offset ?? 0) + (entry?.size ?? 0));
          const one = kernel().decodeFrames(frame, pageSize, 0n);
          expect(one).toMatchObject({ count: 1, consumed: frame.length });
          expect(Buffer.compare(one.pages, pages.subarray(i * pageSize, (i + 1) * pageSize))).toBe(0);
        }
        expect(index.find(2001)).toBeUndefined();
      },
    ),
    { numRuns: pageSize > 8192 ? 8 : 25 },
  );
});

test('the encoder counts its bytes, and frames that pass through give the same file', async () => {
  const pages = makePages(20, 1024, randomOf(seed));
  const header = newHeader({ pageSize: 1024, commit: 20, minTxid: 1n, maxTxid: 1n, timestampMs: 5 });
  const first = encodeFile(header, upTo(20), pages);
  const encoder = new LtxEncoder(header);
  const chunks = [encoder.begin().slice()];
  const decoder = new LtxDecoder(chunked(first, 999), { batchSize: 4096 });
  for await (const { pgnos, sizes, frames, pages: data } of decoder.batches()) {
    chunks.push(encoder.appendFrames(pgnos, sizes, frames, data).slice());
    expect(encoder.size).toBe(concat(chunks).length);
  }
  await decoder.finish();
  chunks.push(encoder.finish().slice());
  expect(encoder.size).toBe(first.length);
  expect(concat(chunks)).toEqual(first);
});

test('database checksums: written as given, and a snapshot must have the right one', async () => {
  const pages = makePages(6, 512, randomOf(seed));
  const sums = kernel().pageChecksums(upTo(6), pages, 512);
  const right = (1n << 63n) | sums.reduce((a, b) => a ^ b, 0n);
  const header = { flags: 0, pageSize: 512, commit: 6, minTxid: 1n, maxTxid: 4n };
  const good = encodeFile(header, upTo(6), pages, { postApplyChecksum: right });
  expect((await decodeFile(chunked(good))).postApplyChecksum).toBe(right);
  const bad = encodeFile(header, upTo(6), pages, { postApplyChecksum: right ^ 1n });
  await expect(decodeFile(chunked(bad))).rejects.toMatchObject({ code: 'BAD_TRAILER', file: 'test.ltx' });
  const refused = expect.objectContaining({ code: 'BAD_TRAILER' });
  expect(() => encodeFile(header, upTo(6), pages)).toThrow(refused);
  expect(() => encodeFile({ ...header, flags: 2 }, upTo(6), pages, { postApplyChecksum: right })).toThrow(refused);
});

test('an empty database: with its empty checksum only', async () => {
  const header = { flags: 0, pageSize: 512, commit: 0, minTxid: 1n, maxTxid: 4n };
  const file = encodeFile(header, [], new Uint8Array(0), { postApplyChecksum: 1n << 63n });
  expect(await verifyLtx(chunked(file))).toMatchObject({ pageCount: 0, size: file.length });
  expect(() => encodeFile({ ...header, flags: 2 }, [], new Uint8Array(0))).toThrow(
    expect.objectContaining({ code: 'BAD_HEADER' }),
  );
});

test('calls out of order are refused', async () => {
  const wrong = expect.objectContaining({ code: 'WRONG_STATE' });
  const encoder = new LtxEncoder(newHeader({ pageSize: 512, commit: 1, minTxid: 2n, maxTxid: 2n }));
  expect(() => encoder.encodePages([1], new Uint8Array(512))).toThrow(wrong);
  encoder.begin();
  expect(() => encoder.begin()).toThrow(wrong);
  encoder.finish();
  expect(() => encoder.finish()).toThrow(wrong);
  const decoder = new LtxDecoder(chunked(new Uint8Array(0)));
  await expect(decoder.finish()).rejects.toThrow(wrong);
});

test('errors of the source pass through, and close ends it', async () => {
  const failing = async function* (): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(10);
    throw new RangeError('disk on fire');
  };
  await expect(verifyLtx(failing())).rejects.toThrow('disk on fire');
  let ended = false;
  const endless = async function* (): AsyncGenerator<Uint8Array> {
    try {
      while (true) yield new Uint8Array(64).fill(9);
    } finally {
      ended = true;
    }
  };
  await expect(verifyLtx(endless())).rejects.toMatchObject({ code: 'NOT_LTX' });
  expect(ended).toBe(true);
});

test('memory stays bounded: a decoder asks for no more of its source than a batch ahead', async () => {
  const pages = new Uint8Array(3000 * 4096);
  const random = randomOf(seed);
  for (let i = 0; i < pages.length; i += 1) pages[i] = random();
  const file = encodeFile({ pageSize: 4096, commit: 3000, minTxid: 1n, maxTxid: 1n }, upTo(3000), pages);
  let asked = 0;
  const source = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunked(file, 10000)) {
      asked += chunk.length;
      yield chunk;
    }
  };
  const decoder = new LtxDecoder(source(), { batchSize: 1 << 16 });
  let seen = 100;
  for await (const { frames, pages: data } of decoder.batches()) {
    seen += frames.length;
    expect(data.length).toBeLessThanOrEqual(1 << 16);
    expect(asked - seen).toBeLessThan(1 << 17);
  }
  await decoder.finish();
});

test('an index past 4 GiB', () => {
  // Only the index is made: one page of the largest frame after another.
  const count = 40000;
  const size = 2 * 65536 + 1000;
  const numbers: number[] = [];
  const put = (value: number): void => {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) numbers.push((rest % 128) | 128);
    numbers.push(rest);
  };
  for (let i = 0; i < count; i += 1) for (const value of [i + 1, 100 + i * size, size]) put(value);
  const bytes = new Uint8Array([...numbers, 0, ...new Uint8Array(8)]);
  new DataView(bytes.buffer).setBigUint64(numbers.length + 1, BigInt(numbers.length + 1));
  const index = decodePageIndex(bytes);
  expect(index.count).toBe(count);
  expect(index.find(count)).toEqual({ pgno: count, offset: 100 + (count - 1) * size, size });
  expect(100 + (count - 1) * size).toBeGreaterThan(2 ** 32);
});

test('chunks given back by collect equal the file', async () => {
  const bytes = new Uint8Array(1000).fill(3);
  expect(await collect(chunked(bytes, 7))).toEqual(bytes);
});

test('frames without their pages are verified as much as pages are', async () => {
  const pageSize = 1024;
  const pages = makePages(9, pageSize, randomOf(seed));
  const header = newHeader({ pageSize, commit: 9, minTxid: 1n, maxTxid: 3n, timestampMs: 5 });
  const file = encodeFile(header, [1, 2, 3, 4, 5, 6, 7, 8, 9], pages);
  const [whole, checked] = [new LtxDecoder(chunked(file, 300)), new LtxDecoder(chunked(file, 300))];
  const batches = await Array.fromAsync(whole.batches(), ({ frames, pgnos }) => [frames.slice(), pgnos]);
  const frames = await Array.fromAsync(checked.frames(), ({ frames, pgnos }) => [frames.slice(), pgnos]);
  expect(frames).toEqual(batches);
  expect(await checked.finish()).toEqual(await whole.finish());
  for (let at = 100; at < file.length; at += 7) {
    const damaged = file.slice();
    damaged[at] = (damaged[at] ?? 0) ^ 0x10;
    // LZ4 can say the same in two ways, so not every change does damage; but both must judge alike.
    const [ours, theirs] = await Promise.allSettled([verifyLtx(chunked(damaged, 700)), decodeFile(chunked(damaged))]);
    expect(ours.status, `byte ${at}`).toBe(theirs.status);
  }
});

test('an extension that is known only at the end gives the file that it would have given at the start', async () => {
  for (const pageSize of PAGE_SIZES) {
    const pgnos = upTo(9);
    const pages = makePages(9, pageSize, randomOf(seed));
    const fields = { pageSize, commit: 9, minTxid: 3n, maxTxid: 3n, timestampMs: 5 };
    const extension = { walEndOffset: 77, databaseChecksum: 1n << 63n, previousChecksumHigh: 2 ** 31 };
    const early = encodeFile({ ...fields, extension }, pgnos, pages, { batch: 4 });

    const provisional = { walEndOffset: 77, databaseChecksum: 0n, previousChecksumHigh: 0 };
    const encoder = new LtxEncoder(newHeader({ ...fields, extension: provisional }));
    const chunks = [encoder.begin().slice()];
    const sums: bigint[] = [];
    for (const [from, to] of [
      [0, 4],
      [4, 9],
    ] as const) {
      const part = pages.subarray(from * pageSize, to * pageSize);
      const { frames, pageHashes } = encoder.encodeAndSum(pgnos.slice(from, to), part);
      chunks.push(frames.slice());
      sums.push(...pageHashes);
    }
    chunks[0] = encoder.replaceExtension(extension).slice();
    chunks.push(encoder.finish().slice());
    expect(Buffer.compare(concat(chunks), early)).toBe(0);
    expect(sums).toEqual([...kernel().pageHashes(pgnos, pages, pageSize)]);
    await verifyLtx(chunked(concat(chunks), 1000));

    const frames = early.subarray(100);
    const plain = kernel().decodeFrames(frames, pageSize, 0n);
    const { crc, crcLength } = plain;
    const summed = kernel().decodeFrames(frames, pageSize, 0n, undefined, { withPageHashes: true });
    expect([...summed.pageHashes]).toEqual(sums);
    expect(Buffer.compare(summed.pages, pages)).toBe(0);
    expect(summed).toMatchObject({ count: 9, crc, crcLength });
  }
});
