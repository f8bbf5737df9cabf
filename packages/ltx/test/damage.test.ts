import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isLtxError, kernel, readPageIndex } from '../src/index.ts';
import { chunked, concat, decodeFile, encodeFile, makePages, randomOf, seedTests, upTo } from './support.ts';

const seed = seedTests();
const random = randomOf(seed);
/** Small, since the decoder's memory is as large, and there are tens of thousands of decoders. */
const BATCH_SIZE = 8192;
const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`fixtures/${name}.ltx`, import.meta.url)));

const increment = encodeFile(
  {
    pageSize: 512,
    commit: 900,
    minTxid: 7n,
    maxTxid: 8n,
    walOffset: 32,
    salt1: 1,
    extension: { createdAtMs: 1_700_000_000_000, databaseChecksum: 3n | (1n << 63n), previousChecksumHigh: 2 ** 31 },
  },
  [3, 5, 6, 200, 899],
  makePages(5, 512, random),
);

const files: [string, Uint8Array][] = [
  ['ours', increment],
  ['Go, with checksums', fixture('snapshot-with-checksums')],
  ['Go, LZ4 frames', fixture('snapshot-of-lz4-frames')],
  ['Go, increment', fixture('increment')],
];

/** Refuses with an LtxError, which is returned, or decodes, which gives undefined. Anything else fails the test. */
async function refusal(bytes: Uint8Array, original?: Awaited<ReturnType<typeof decodeFile>>): Promise<unknown> {
  try {
    const got = await decodeFile(chunked(bytes, 700), BATCH_SIZE);
    if (original !== undefined) {
      expect(got.pgnos).toEqual(original.pgnos);
      expect(Buffer.compare(got.pages, original.pages)).toBe(0);
      expect(got.header).toEqual(original.header);
    }
    return undefined;
  } catch (error) {
    if (!isLtxError(error)) throw error;
    expect(error.file).toBe('test.ltx');
    return error;
  }
}

test.each(files)('%s: every byte changed is refused or decodes to the same pages', async (_, file) => {
  const original = await decodeFile(chunked(file));
  let refused = 0;
  for (let at = 0; at < file.length; at += 1) {
    for (const mask of [0xff, 1 << (random() % 8)]) {
      const damaged = file.slice();
      damaged[at] = (damaged[at] ?? 0) ^ mask;
      if ((await refusal(damaged, original)) !== undefined) refused += 1;
    }
  }
  expect(refused).toBeGreaterThan(file.length);
});

test.each(files)('%s: every truncation is refused', async (_, file) => {
  for (let size = 0; size < file.length; size += 1) {
    const cut = file.slice(0, size);
    expect(await refusal(cut), `${size} bytes`).toMatchObject({ code: 'TRUNCATED' });
    const access = { size, read: async (at: number, length: number) => cut.subarray(at, at + length) };
    await expect(readPageIndex(access, { file: 'x' }), `${size} bytes`).rejects.toSatisfy(isLtxError);
  }
});

test.each(files)('%s: anything behind the end is refused', async (_, file) => {
  expect(await refusal(concat([file, new Uint8Array(1)]))).toMatchObject({ code: 'TRAILING_DATA' });
  expect(await refusal(concat([file, file]))).toMatchObject({ code: 'TRAILING_DATA' });
});

test.each(files)('%s: an index read alone is refused, or lists frames where frames can stand', async (_, file) => {
  const read = (bytes: Uint8Array): ReturnType<typeof readPageIndex> =>
    readPageIndex({ size: bytes.length, read: async (at, size) => bytes.subarray(at, at + size) });
  const { pagesEnd } = await read(file);
  for (let at = pagesEnd; at < file.length; at += 1) {
    const damaged = file.slice();
    damaged[at] = (damaged[at] ?? 0) ^ (1 << (random() % 8));
    try {
      const { index } = await read(damaged);
      let end = 100;
      for (let i = 0; i < index.count; i += 1) {
        expect(index.offsets[i]).toBe(end);
        end += index.sizes[i] ?? 0;
      }
      expect(end).toBe(pagesEnd);
    } catch (error) {
      if (!isLtxError(error)) throw error;
    }
  }
});

test('a file whose checksums are right and whose content is not', async () => {
  const flag = 1n << 63n;
  const pages = makePages(3, 512, random);
  const k = kernel();
  const frame = (pgno: number): Uint8Array => k.encodeFrames([pgno], pages.subarray(0, 512), 512, 0n).frames.slice();
  const page = pages.slice(0, 512);
  const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);
  /** Puts a file together without any check, with a matching index unless told otherwise. */
  const forge = (
    pgnos: number[],
    options: { header?: Uint8Array; index?: number[]; raw?: Uint8Array } = {},
  ): Uint8Array => {
    const header =
      options.header ??
      encodeFile({ pageSize: 512, commit: 9, minTxid: 2n, maxTxid: 2n }, [], new Uint8Array(0)).slice(0, 100);
    const frames = pgnos.map(frame);
    let at = 100;
    const entries = frames.flatMap((bytes, i) => {
      const entry = [...varint(pgnos[i] ?? 0), ...varint(at), ...varint(bytes.length)];
      at += bytes.length;
      return entry;
    });
    const index = options.index ?? entries;
    const end = new Uint8Array(6 + index.length + 9);
    end.set(index, 6);
    new DataView(end.buffer).setBigUint64(6 + index.length + 1, BigInt(index.length + 1));
    let crc = k.crc64(header);
    for (const bytes of frames) crc = k.crc64(page, k.crc64(bytes.subarray(0, 10), crc));
    const trailer = new Uint8Array(16);
    crc = k.crc64(trailer.subarray(0, 8), k.crc64(end, crc));
    new DataView(trailer.buffer).setBigUint64(8, crc | flag);
    return concat([header, ...frames, options.raw ?? new Uint8Array(0), end, trailer]);
  };
  const snapshot = encodeFile({ pageSize: 512, commit: 3, minTxid: 1n, maxTxid: 1n }, upTo(3), pages).slice(0, 100);
  const raw = (...bytes: number[]): { raw: Uint8Array } => ({ raw: new Uint8Array(bytes) });
  expect(await refusal(forge([1, 4, 9]))).toBeUndefined();
  expect(await refusal(forge([]))).toBeUndefined();
  expect(await refusal(forge([1, 2, 3], { header: snapshot }))).toBeUndefined();

  const second = 100 + frame(4).length;
  expect(await refusal(forge([4, 3]))).toMatchObject({ code: 'BAD_PAGE', offset: second });
  expect(await refusal(forge([4, 4]))).toMatchObject({ code: 'BAD_PAGE', offset: second });
  expect(await refusal(forge([4, 10]))).toMatchObject({ code: 'BAD_PAGE', offset: second });
  expect(await refusal(forge([1, 3], { header: snapshot }))).toMatchObject({ code: 'BAD_PAGE' });
  expect(await refusal(forge([1, 2], { header: snapshot }))).toMatchObject({ code: 'BAD_PAGE' });
  expect(await refusal(forge([2, 3], { header: snapshot }))).toMatchObject({ code: 'BAD_PAGE' });
  expect(await refusal(forge([], { header: snapshot }))).toMatchObject({ code: 'BAD_PAGE' });
  expect(await refusal(forge([4], { index: [] }))).toMatchObject({ code: 'BAD_INDEX' });
  expect(await refusal(forge([4], { index: [5, 100, 30] }))).toMatchObject({
    code: expect.stringMatching(/BAD_INDEX|TRUNCATED/),
  });
  expect(await refusal(forge([], raw(0, 0, 0, 4, 0, 1, 0xff, 0xff, 0xff, 0xff)))).toMatchObject({
    code: 'BAD_PAGE',
    offset: 100,
  });
  expect(await refusal(forge([], raw(0, 0, 0, 4, 0, 1, 0, 0, 0, 0)))).toMatchObject({ code: 'BAD_PAGE', offset: 100 });
  expect(await refusal(forge([], raw(0, 0, 0, 4, 0, 2)))).toMatchObject({ code: 'BAD_PAGE', offset: 100 });
  expect(await refusal(forge([], raw(0, 0, 0, 0, 0, 1)))).toMatchObject({ code: 'BAD_PAGE', offset: 100 });
});
