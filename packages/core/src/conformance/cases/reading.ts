import assert from 'node:assert/strict';

import type { ConformanceCase } from '../model/case.ts';
import { fileOf } from '../model/case.ts';

/** Readers that leave early: more than the idle connections that a client may keep. */
const READERS = 24;

export const readingCases: readonly ConformanceCase[] = [
  {
    name: 'a file reads back byte by byte',
    run: async ({ write, read, random }) => {
      for (const [index, size] of [2, 100, 65_535, 65_536, 65_537, 300_000].entries()) {
        const bytes = random.bytes(size);
        const info = await write(fileOf(index + 1, bytes));
        assert.equal(Buffer.compare(await read(info), bytes), 0, `${size} bytes differ`);
      }
    },
  },
  {
    name: 'a file of no bytes is a file',
    run: async ({ write, read, list }) => {
      const info = await write(fileOf(1, Buffer.alloc(0)));
      assert.equal(info.size, 0);
      assert.deepEqual(
        (await list()).map(({ size }) => size),
        [0],
      );
      assert.equal((await read(info)).length, 0);
    },
  },
  {
    name: 'a file of one byte is a file',
    run: async ({ write, read, list }) => {
      const info = await write(fileOf(1, Buffer.from([200])));
      assert.deepEqual(
        (await list()).map(({ size }) => size),
        [1],
      );
      assert.deepEqual([...(await read(info))], [200]);
    },
  },
  {
    name: 'a range reads exactly its bytes',
    requires: ['ranges'],
    run: async ({ write, read, random }) => {
      const bytes = Buffer.from(random.bytes(100_000));
      const info = await write(fileOf(1, bytes));
      const ranges = [
        [0, 1],
        [0, 100_000],
        [1, 1],
        [99_999, 1],
        [50_000, 50_000],
        [65_535, 2],
        [12_345, 54_321],
      ] as const;
      for (const [offset, size] of ranges) {
        const part = await read(info, { offset, size });
        assert.equal(part.length, size, `${size} bytes at ${offset}`);
        assert.equal(Buffer.compare(part, bytes.subarray(offset, offset + size)), 0, `bytes at ${offset} differ`);
      }
      assert.equal(Buffer.compare(await read(info, { offset: 70_000 }), bytes.subarray(70_000)), 0, 'offset alone');
      assert.equal(Buffer.compare(await read(info, { size: 30_000 }), bytes.subarray(0, 30_000)), 0, 'size alone');
    },
  },
  {
    name: 'a range past the end gives the bytes there are, possibly none',
    requires: ['ranges'],
    run: async ({ client, write, read, variation }) => {
      const info = await write(fileOf(1, '0123456789'));
      assert.equal((await read(info, { offset: 8, size: 100 })).toString(), '89');
      assert.equal((await read(info, { offset: 9 })).toString(), '9');
      if (variation === 'faults') return; // there, reads are bounded by the listed size
      for (const range of [{ offset: 10 }, { offset: 10, size: 5 }, { offset: 11 }, { offset: 5000, size: 1 }]) {
        const body = await client.openLtxFile(info, range);
        assert.equal(Buffer.concat(await Array.fromAsync(body)).length, 0, JSON.stringify(range));
      }
    },
  },
  {
    name: 'a range of no bytes gives none',
    requires: ['ranges'],
    run: async ({ write, read }) => {
      const info = await write(fileOf(1, '0123456789'));
      assert.equal((await read(info, { offset: 0, size: 0 })).length, 0);
      assert.equal((await read(info, { offset: 4, size: 0 })).length, 0);
    },
  },
  {
    name: 'ranges declared false reject as UNSUPPORTED',
    requires: ['no ranges'],
    variations: ['direct', 'prefix'],
    run: async ({ client, write, codeOf }) => {
      const info = await write(fileOf(1, '0123456789'));
      const code = await codeOf(async () => await Array.fromAsync(await client.openLtxFile(info, { offset: 3 })));
      assert.equal(code, 'UNSUPPORTED');
    },
  },
  {
    name: 'a missing file rejects with NOT_FOUND before the first byte',
    run: async ({ client, write, codeOf }) => {
      assert.equal(await codeOf(async () => await client.openLtxFile(fileOf(1))), 'NOT_FOUND');
      await write(fileOf(1));
      assert.equal(await codeOf(async () => await client.openLtxFile(fileOf(2))), 'NOT_FOUND');
      assert.equal(await codeOf(async () => await client.openLtxFile({ ...fileOf(1), level: 1 })), 'NOT_FOUND');
      assert.equal(await codeOf(async () => await client.openLtxFile({ ...fileOf(1), maxTxid: 2n })), 'NOT_FOUND');
    },
  },
  {
    name: 'size and version learnt on opening are those of the listing',
    run: async ({ client, write, list, variation }) => {
      await write(fileOf(1, 'first'));
      const [before] = await list();
      assert.ok(before !== undefined);
      const [again] = await list();
      assert.equal(again?.version, before.version, 'the same content, another version');
      const body = await client.openLtxFile(before, { size: 2 });
      if (body.info?.size !== undefined) assert.equal(body.info.size, 5);
      if (body.info?.version !== undefined && before.version !== undefined) {
        assert.equal(body.info.version, before.version);
      }
      if (variation === 'faults') for await (const _ of body) break;
      else for await (const chunk of body) assert.ok(chunk.byteLength <= 2);
      await write(fileOf(1, 'other'));
      const [after] = await list();
      if (before.version !== undefined)
        assert.notEqual(after?.version, before.version, 'a new content, the old version');
    },
  },
  {
    name: 'many reads at once do not disturb each other',
    run: async ({ write, read, random }) => {
      const contents = Array.from({ length: 12 }, () => Buffer.from(random.bytes(40_000)));
      const infos = await Promise.all(contents.map(async (bytes, index) => await write(fileOf(index + 1, bytes))));
      const found = await Promise.all([...infos, ...infos].map(async (info) => await read(info)));
      found.forEach((bytes, index) => {
        assert.equal(Buffer.compare(bytes, contents[index % 12] ?? Buffer.alloc(0)), 0, `file ${index % 12} differs`);
      });
    },
  },
  {
    name: 'a reader that stops early leaves nothing open',
    run: async ({ client, write, read, random }) => {
      const bytes = random.bytes(600_000);
      const info = await write(fileOf(1, bytes));
      const socketsBefore = socketCount();
      for (let round = 0; round < READERS; round++) {
        const body = await client.openLtxFile(info);
        try {
          for await (const _ of body) break;
        } catch (error) {
          // Only an injected fault may end the first read with an error.
          if (!String(error).includes('injected')) throw error;
        }
      }
      assert.equal(Buffer.compare(await read(info), bytes), 0);
      const grown = socketCount() - socketsBefore;
      assert.ok(grown < READERS * 0.75, `${grown} sockets more than before ${READERS} reads that were left early`);
    },
  },
];

/** Sockets of this process; servers under test in the same process count too, so limits are generous. */
export function socketCount(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap' || name === 'PipeWrap').length;
}
