import assert from 'node:assert/strict';

import type { Body } from '../../storage/contract/contract.ts';
import type { CaseContext, ConformanceCase } from '../model/case.ts';
import { fileOf, namesOf } from '../model/case.ts';

const timestamp = new Date(1_700_000_000_000);

/** A body from a generator that is restarted for each attempt. */
function bodyOf(open: () => AsyncIterable<Uint8Array>, size?: number): Body {
  return { size, open };
}

async function assertAbsent({ list, client, codeOf }: CaseContext): Promise<void> {
  assert.equal(namesOf(await list()), '', 'a part of the file is listed');
  assert.equal(await codeOf(async () => await client.openLtxFile(fileOf(1))), 'NOT_FOUND');
}

export const writingCases: readonly ConformanceCase[] = [
  {
    name: 'a body of unknown size, in chunks of any size, is stored whole',
    run: async ({ client, read, random }) => {
      const parts = [1, 0, 70_000, 3, 65_536, 0, 200_001, 5].map((size) => random.bytes(size));
      const info = await client.writeLtxFile(
        { ...fileOf(1), timestamp },
        bodyOf(async function* () {
          yield* parts;
        }),
      );
      const whole = Buffer.concat(parts);
      assert.equal(info.size, whole.length);
      assert.equal(Buffer.compare(await read(info), whole), 0);
    },
  },
  {
    name: 'a chunk is not used after the next one was asked for',
    run: async ({ client, read, random }) => {
      const parts = Array.from({ length: 30 }, () => random.bytes(10_000));
      const open = async function* (): AsyncGenerator<Uint8Array> {
        const reused = new Uint8Array(10_000);
        for (const part of parts) {
          reused.set(part);
          yield reused;
          reused.fill(0xee);
        }
      };
      const info = await client.writeLtxFile({ ...fileOf(1), timestamp }, bodyOf(open, 300_000));
      assert.equal(Buffer.compare(await read(info), Buffer.concat(parts)), 0, 'the client kept a buffer it was lent');
    },
  },
  {
    name: 'an object of several parts is stored whole',
    run: async ({ client, read, random, list }) => {
      const block = Buffer.from(random.bytes(65_536));
      const blockCount = 180; // 11.25 MiB: past the part size of every backend, with a remainder
      const open = async function* (): AsyncGenerator<Uint8Array> {
        for (let index = 0; index < blockCount; index++) {
          const chunk = Buffer.from(block);
          chunk.writeUInt32BE(index);
          yield chunk;
        }
        yield Buffer.from('end');
      };
      const info = await client.writeLtxFile({ ...fileOf(1, '', 9), timestamp }, bodyOf(open));
      const size = blockCount * 65_536 + 3;
      assert.equal(info.size, size);
      assert.deepEqual(
        (await list(9)).map((file) => file.size),
        [size],
      );
      const whole = await read(info);
      assert.equal(whole.length, size);
      for (let index = 0; index < blockCount; index++) {
        block.writeUInt32BE(index);
        assert.equal(Buffer.compare(whole.subarray(index * 65_536, (index + 1) * 65_536), block), 0, `block ${index}`);
      }
      assert.equal(whole.subarray(-3).toString(), 'end');
    },
  },
  {
    name: 'writing a file again replaces it',
    run: async ({ write, read, list }) => {
      await write(fileOf(1, 'a long first version'));
      const info = await write(fileOf(1, 'short'));
      assert.deepEqual(
        (await list()).map(({ size }) => size),
        [5],
      );
      assert.equal((await read(info)).toString(), 'short');
      const longer = await write(fileOf(1, 'a version longer than short'));
      assert.equal((await read(longer)).toString(), 'a version longer than short');
    },
  },
  {
    name: 'a body that fails stores nothing',
    run: async (context) => {
      const failure = new Error('the source broke');
      const open = async function* (): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(100_000, 1);
        throw failure;
      };
      await assert.rejects(async () => await context.client.writeLtxFile({ ...fileOf(1), timestamp }, bodyOf(open)));
      await assertAbsent(context);
      await assert.rejects(
        async () => await context.client.writeLtxFile({ ...fileOf(1), timestamp }, bodyOf(open, 200_000)),
      );
      await assertAbsent(context);
    },
  },
  {
    name: 'a body that fails leaves the older file whole',
    run: async ({ client, write, read, list }) => {
      await write(fileOf(1, 'the older file'));
      const open = async function* (): AsyncGenerator<Uint8Array> {
        yield Buffer.from('the new');
        throw new Error('the source broke');
      };
      await assert.rejects(async () => await client.writeLtxFile({ ...fileOf(1), timestamp }, bodyOf(open)));
      const [info] = await list();
      assert.ok(info !== undefined, 'the older file is gone');
      assert.equal((await read(info)).toString(), 'the older file');
    },
  },
  {
    name: 'a body shorter or longer than announced stores nothing',
    run: async (context) => {
      for (const size of [9, 11, 200_000]) {
        const open = async function* (): AsyncGenerator<Uint8Array> {
          yield Buffer.from('0123456789');
        };
        await assert.rejects(
          async () => await context.client.writeLtxFile({ ...fileOf(1), timestamp }, bodyOf(open, size)),
          `10 bytes were taken for the ${size} that were announced`,
        );
        await assertAbsent(context);
      }
    },
  },
  {
    name: 'a file is invisible until it is whole',
    // Not `after`: the write is whole by then, and the retry's body would find it.
    faults: ['before', 'truncate', 'reset', 'latency'],
    run: async (context) => {
      const { client, list, read } = context;
      let writing = 0;
      const open = async function* (): AsyncGenerator<Uint8Array> {
        for (let index = 0; index < 8; index++) {
          yield Buffer.alloc(100_000, index);
          if (index % 3 === 0) await assertAbsent(context);
          writing++;
        }
      };
      const info = await client.writeLtxFile({ ...fileOf(1), timestamp }, bodyOf(open));
      assert.ok(writing >= 8);
      assert.equal((await list()).length, 1);
      assert.equal((await read(info)).length, 800_000);
    },
  },
  {
    name: 'a reader sees the old file or the new one, never a mixture',
    run: async ({ write, list, read, variation, capabilities }) => {
      const size = 200_000;
      await write(fileOf(1, Buffer.alloc(size, 1)));
      const progress = { done: false };
      const overwrite = async (): Promise<void> => {
        for (let version = 2; version <= 8; version++) await write(fileOf(1, Buffer.alloc(size, version)));
      };
      const look = async (mayBreak: boolean): Promise<void> => {
        const [info, ...more] = await list();
        if (info === undefined && mayBreak && !capabilities.atomicReplace) return;
        assert.ok(info !== undefined && more.length === 0, 'the file vanished while it was replaced');
        assert.equal(info.size, size, 'a part of the file is listed');
        let found: Buffer;
        try {
          found = await read(info);
        } catch (error) {
          // An open file may break when it is replaced (its handle, its ETag); only a mixture is forbidden.
          if (mayBreak) return;
          throw error;
        }
        assert.equal(found.length, size, 'a part of the file was read');
        // Without a version, a resumed read cannot detect that the object was replaced.
        if (variation === 'faults' && info.version === undefined) return;
        assert.ok(
          found.every((byte) => byte === found[0]),
          'bytes of two versions in one read',
        );
      };
      const readers = async (): Promise<void> => {
        for (; !progress.done; await new Promise((resolve) => setTimeout(resolve, 1))) await look(true);
      };
      await Promise.all([overwrite().finally(() => (progress.done = true)), readers()]);
      await look(false);
    },
  },
  {
    name: 'many writers of different files do not disturb each other',
    run: async ({ write, list, read, random }) => {
      const contents = Array.from({ length: 24 }, (_, index) => Buffer.from(random.bytes(1000 + 997 * index)));
      await Promise.all(contents.map(async (bytes, index) => await write(fileOf(index + 1, bytes, index % 2))));
      for (const level of [0, 1]) {
        const files = await list(level);
        assert.equal(files.length, 12);
        for (const file of files) {
          assert.equal(Buffer.compare(await read(file), contents[Number(file.minTxid) - 1] ?? Buffer.alloc(0)), 0);
        }
      }
    },
  },
  {
    name: 'of several writers of one file one wins, whole',
    run: async ({ write, list, read, open }) => {
      const other = await open('');
      const sizes = [10_000, 20_000, 30_000, 40_000, 50_000, 60_000];
      await Promise.all(
        sizes.map(async (size, index) => {
          const file = fileOf(1, Buffer.alloc(size, index + 1));
          await (index % 2 === 0 ? write(file) : write(file, other));
        }),
      );
      const files = await list();
      assert.equal(files.length, 1);
      const [info] = files;
      assert.ok(info !== undefined);
      const found = await read(info);
      assert.equal(found.length, sizes[(found[0] ?? 0) - 1], 'the length of one, the bytes of another');
      assert.ok(found.every((byte) => byte === found[0]));
      await other[Symbol.asyncDispose]();
    },
  },
];
