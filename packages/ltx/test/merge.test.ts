import fc from 'fast-check';
import { expect, test } from 'vitest';
import { kernel, mergeLtx } from '../src/index.ts';
import type { LtxError, LtxHeader } from '../src/index.ts';
import { chunked, collect, decodeFile, encodeFile, makePages, randomOf, seedTests, upTo } from './support.ts';

const seed = seedTests();

interface Made {
  readonly file: Uint8Array;
  readonly pgnos: number[];
  readonly pages: Uint8Array;
}

function make(
  fields: Partial<LtxHeader> & { minTxid: bigint; maxTxid: bigint; commit: number },
  pgnos: number[],
  pageSeed: number,
  pageSize = 512,
): Made {
  const pages = makePages(pgnos.length, pageSize, randomOf(pageSeed));
  return { file: encodeFile({ pageSize, ...fields }, pgnos, pages), pgnos, pages };
}

function inputs(files: readonly Uint8Array[], chunkSize = 1000): { source: AsyncIterable<Uint8Array>; file: string }[] {
  return files.map((file, i) => ({ source: chunked(file, chunkSize), file: `input-${i}` }));
}

test('any files: the newest page wins, pages past the newest commit are gone', async () => {
  const shapes = fc.array(
    fc.record({
      commit: fc.integer({ min: 1, max: 120 }),
      pick: fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 60 }),
      span: fc.integer({ min: 1, max: 3 }),
      overlap: fc.boolean(),
    }),
    { minLength: 1, maxLength: 9 },
  );
  await fc.assert(
    fc.asyncProperty(
      shapes,
      fc.boolean(),
      fc.nat(),
      fc.integer({ min: 1, max: 5000 }),
      async (list, withSnapshot, pageSeed, chunkSize) => {
        const model = new Map<number, Buffer>();
        const files: Uint8Array[] = [];
        let txid = withSnapshot ? 0n : 6n;
        let commit = 0;
        for (const [i, shape] of list.entries()) {
          const snapshot = withSnapshot && i === 0;
          // Growth brings its pages, as SQLite's does, so that a snapshot stays whole.
          const set = new Set([...(snapshot ? upTo(shape.commit) : shape.pick), ...upTo(shape.commit).slice(commit)]);
          const pgnos = [...set].filter((pgno) => pgno <= shape.commit).sort((a, b) => a - b);
          const minTxid = txid > 7n && shape.overlap ? txid : txid + 1n;
          txid += BigInt(shape.span);
          commit = shape.commit;
          const made = make({ minTxid, maxTxid: txid, commit, timestampMs: i }, pgnos, pageSeed + i);
          files.push(made.file);
          for (const [n, pgno] of pgnos.entries())
            model.set(pgno, Buffer.from(made.pages.subarray(512 * n, 512 * (n + 1))));
        }
        const expected = [...model].filter(([pgno]) => pgno <= commit).sort(([a], [b]) => a - b);
        const got = await decodeFile(chunked(await collect(mergeLtx(inputs(files, chunkSize)))));
        expect(got.pgnos).toEqual(expected.map(([pgno]) => pgno));
        expect(Buffer.compare(got.pages, Buffer.concat(expected.map(([, page]) => page)))).toBe(0);
        expect(got.header).toMatchObject({
          minTxid: withSnapshot ? 1n : 7n,
          maxTxid: txid,
          commit,
          timestampMs: list.length - 1,
          flags: 2,
        });
      },
    ),
    { numRuns: 150 },
  );
});

test.each([4096, 65536])('frames pass through as they are, in batches, with %i-byte pages', async (pageSize) => {
  const base = make({ minTxid: 1n, maxTxid: 1n, commit: 200 }, upTo(200), seed, pageSize);
  const later = make({ minTxid: 2n, maxTxid: 2n, commit: 200 }, [7, 100, 101, 200], seed + 1, pageSize);
  const chunks: number[] = [];
  const merged: Uint8Array[] = [];
  for await (const chunk of mergeLtx(inputs([base.file, later.file]))) {
    chunks.push(chunk.length);
    merged.push(chunk);
  }
  expect(Math.max(...chunks)).toBeLessThan(1 << 19);
  const got = await decodeFile(chunked(Buffer.concat(merged)));
  const [old, fresh] = [await decodeFile(chunked(base.file)), await decodeFile(chunked(later.file))];
  expect(Buffer.from(got.frames).includes(firstFrame(fresh.frames))).toBe(true);
  expect(firstFrame(got.frames)).toEqual(firstFrame(old.frames));
  expect(got.pages.subarray(6 * pageSize, 7 * pageSize)).toEqual(later.pages.subarray(0, pageSize));
});

test('one input gives the same file, apart from where it was cut from the log', async () => {
  const extension = { createdAtMs: 500, databaseChecksum: 0n, previousChecksumHigh: 0 };
  const { file } = make({ minTxid: 3n, maxTxid: 3n, commit: 50, extension }, [1, 9, 50], seed);
  expect(await collect(mergeLtx(inputs([file])))).toEqual(file);
});

test('files of others say when their earliest commit was by their own times', async () => {
  const files = [2n, 3n, 4n].map(
    (id) => make({ minTxid: id, maxTxid: id, commit: 5, timestampMs: 700 + Number(id) }, [1], seed).file,
  );
  const { header } = await decodeFile(chunked(await collect(mergeLtx(inputs(files)))));
  expect(header).toMatchObject({ timestampMs: 704, extension: { createdAtMs: 702, databaseChecksum: 0n } });
});

test('a merged file is not earlier than any commit in it, even where a clock was set back', async () => {
  const files = [900, 100, 300].map(
    (timestampMs, i) =>
      make({ minTxid: BigInt(i + 2), maxTxid: BigInt(i + 2), commit: 5, timestampMs }, [1], seed).file,
  );
  const { header } = await decodeFile(chunked(await collect(mergeLtx(inputs(files)))));
  expect(header).toMatchObject({ timestampMs: 900, extension: { createdAtMs: 100 } });
});

test('the extension spans from the earliest to the last', async () => {
  const extension = { createdAtMs: 500, databaseChecksum: (1n << 63n) | 5n, previousChecksumHigh: 0x80000001 };
  const last = { createdAtMs: 600, databaseChecksum: (1n << 63n) | 6n, previousChecksumHigh: 0x80000002 };
  const files = [
    make({ minTxid: 2n, maxTxid: 2n, commit: 5, extension }, [1], 1).file,
    make({ minTxid: 3n, maxTxid: 3n, commit: 5, timestampMs: 400, nodeId: 3n }, [2], 2).file,
    make({ minTxid: 4n, maxTxid: 4n, commit: 5, extension: last, nodeId: 9n }, [3], 3).file,
  ];
  const { header } = await decodeFile(chunked(await collect(mergeLtx(inputs(files)))));
  expect(header.extension).toEqual({ ...last, createdAtMs: 400, previousChecksumHigh: 0x80000001 });
  expect(header.nodeId).toBe(0n);
  const override = { header: { timestampMs: 1, extension: last } };
  expect((await decodeFile(chunked(await collect(mergeLtx(inputs(files), override))))).header).toMatchObject(
    override.header,
  );
});

test('database checksums are kept on request', async () => {
  const pages = makePages(4, 512, randomOf(seed));
  const flag = 1n << 63n;
  const sums = kernel().pageChecksums(upTo(4), pages, 512);
  const before = flag | sums.reduce((a, b) => a ^ b, 0n);
  const after =
    flag | (before ^ (sums[0] ?? 0n) ^ (kernel().pageChecksums([1], pages.subarray(512, 1024), 512)[0] ?? 0n));
  const header = { flags: 0, pageSize: 512, commit: 4 };
  const first = encodeFile({ ...header, minTxid: 1n, maxTxid: 1n }, upTo(4), pages, { postApplyChecksum: before });
  const fields = { ...header, minTxid: 2n, maxTxid: 2n, preApplyChecksum: before };
  const second = encodeFile(fields, [1], pages.subarray(512, 1024), { postApplyChecksum: after });
  const kept = await decodeFile(chunked(await collect(mergeLtx(inputs([first, second]), { header: { flags: 0 } }))));
  expect(kept.postApplyChecksum).toBe(after);
  const plain = await decodeFile(chunked(await collect(mergeLtx(inputs([first, second])))));
  expect(plain).toMatchObject({ postApplyChecksum: 0n, header: { flags: 2, preApplyChecksum: 0n } });
});

test.each<[string, [bigint, bigint], [bigint, bigint]]>([
  ['a gap', [2n, 3n], [5n, 6n]],
  ['the same twice', [2n, 3n], [2n, 3n]],
  ['wrong order', [4n, 5n], [2n, 3n]],
  ['one inside the other', [2n, 9n], [3n, 4n]],
])('%s is refused', async (_, a, b) => {
  const files = [a, b].map(([minTxid, maxTxid]) => make({ minTxid, maxTxid, commit: 5 }, [1], seed).file);
  await expect(collect(mergeLtx(inputs(files)))).rejects.toMatchObject({ code: 'NOT_CONTIGUOUS', file: 'input-1' });
});

test('different page sizes and no input at all are refused', async () => {
  const files = [
    make({ minTxid: 2n, maxTxid: 2n, commit: 5 }, [1], seed, 512).file,
    make({ minTxid: 3n, maxTxid: 3n, commit: 5 }, [1], seed, 1024).file,
  ];
  await expect(collect(mergeLtx(inputs(files)))).rejects.toMatchObject({ code: 'NOT_CONTIGUOUS', file: 'input-1' });
  await expect(collect(mergeLtx([]))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('damage anywhere in any input, even in pages nobody needs, stops the merge before its last chunk', async () => {
  const files = [
    make({ minTxid: 1n, maxTxid: 1n, commit: 12 }, upTo(12), seed).file,
    make({ minTxid: 2n, maxTxid: 2n, commit: 12 }, [1, 2, 11, 12], seed + 1).file,
    make({ minTxid: 3n, maxTxid: 3n, commit: 10 }, [1, 2], seed + 2).file,
  ];
  const random = randomOf(seed);
  const clean = await collect(mergeLtx(inputs(files)));
  for (let round = 0; round < 300; round += 1) {
    const victim = round % 3;
    const damaged = files.map((file) => file.slice());
    const bytes = damaged[victim];
    if (bytes === undefined) throw new RangeError('no such input');
    if (round % 2 === 0) bytes[random() % bytes.length] = random();
    else damaged[victim] = bytes.subarray(0, random() % bytes.length);
    try {
      // What a changed byte leaves acceptable has the same pages, so the same output but for its compression.
      const got = await decodeFile(chunked(await collect(mergeLtx(inputs(damaged)))));
      expect(Buffer.compare(got.pages, (await decodeFile(chunked(clean))).pages)).toBe(0);
    } catch (error) {
      expect(error).toMatchObject({ name: 'LtxError' });
      // A changed TXID in a header is seen first where the next file no longer follows: that one is named then.
      const { code, file } = error as LtxError;
      const blamed = code === 'NOT_CONTIGUOUS' ? [victim, victim + 1] : [victim];
      expect(blamed.map((index) => `input-${index}`)).toContain(file);
    }
  }
});

test('sources are ended when the consumer stops, and when one fails', async () => {
  let open = 0;
  const source = async function* (file: Uint8Array): AsyncGenerator<Uint8Array> {
    open += 1;
    try {
      yield* chunked(file, 100);
    } finally {
      open -= 1;
    }
  };
  const files = [1n, 2n, 3n].map((id) => make({ minTxid: id, maxTxid: id, commit: 200 }, upTo(200), Number(id)).file);
  for await (const chunk of mergeLtx(files.map((file) => ({ source: source(file) })))) {
    expect(chunk.length).toBe(100);
    break;
  }
  expect(open).toBe(0);
  files[1]?.fill(0, 5000, 5600);
  await expect(collect(mergeLtx(files.map((file) => ({ source: source(file) }))))).rejects.toMatchObject({
    name: 'LtxError',
  });
  expect(open).toBe(0);
});

/** Page number, flags, compressed size, and as many bytes. */
function firstFrame(frames: Uint8Array): Buffer {
  const all = Buffer.from(frames);
  return all.subarray(0, 10 + all.readUInt32BE(6));
}
