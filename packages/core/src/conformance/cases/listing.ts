import assert from 'node:assert/strict';

import type { ConformanceCase } from '../model/case.ts';
import { fileOf, inParallel, namesOf } from '../model/case.ts';

export const listingCases: readonly ConformanceCase[] = [
  {
    name: 'an empty level lists nothing, and is no error',
    run: async ({ list }) => {
      for (let level = 0; level <= 9; level++) assert.deepEqual(await list(level), []);
    },
  },
  {
    name: 'a file is listed as it was written: level, TXIDs, size',
    run: async ({ write, list }) => {
      const written = await write({ level: 2, minTxid: 3n, maxTxid: 12n, bytes: Buffer.alloc(1234, 7) });
      const [listed, ...more] = await list(2);
      assert.equal(more.length, 0);
      assert.ok(listed !== undefined, 'the file is not listed');
      for (const info of [written, listed]) {
        const { level, minTxid, maxTxid, size } = info;
        assert.deepEqual({ level, minTxid, maxTxid, size }, { level: 2, minTxid: 3n, maxTxid: 12n, size: 1234 });
        assert.ok(info.timestamp instanceof Date && !Number.isNaN(info.timestamp.getTime()), 'no valid timestamp');
      }
    },
  },
  {
    name: 'a level lists its own files only',
    run: async ({ client, write, list }) => {
      if (client.allLtxFiles !== undefined) assert.deepEqual(await Array.fromAsync(client.allLtxFiles()), []);
      for (const level of [0, 1, 9]) await write(fileOf(level + 1, 'x', level));
      for (const level of [0, 1, 9]) assert.equal(namesOf(await list(level)), `${level + 1}-${level + 1}`);
      assert.deepEqual(await list(2), []);
      if (client.allLtxFiles === undefined) return;
      const all = [...(await list(0)), ...(await list(1)), ...(await list(9))];
      assert.deepEqual(await Array.fromAsync(client.allLtxFiles()), all, 'allLtxFiles and ltxFiles differ');
    },
  },
  {
    name: 'a listing ascends by minTxid, then maxTxid, whatever the order of writing',
    run: async ({ write, list }) => {
      const pairs: [bigint, bigint][] = [
        [16n, 16n],
        [2n, 2n],
        [10n, 10n],
        [1n, 9n],
        [1n, 1n],
        [0xa0n, 0xffn],
        [9n, 9n],
        [1n, 0x10n],
        [0x100n, 0x100n],
      ];
      for (const [minTxid, maxTxid] of pairs) await write({ level: 1, minTxid, maxTxid, bytes: Buffer.from('x') });
      assert.equal(namesOf(await list(1)), '1-1 1-9 1-16 2-2 9-9 10-10 16-16 160-255 256-256');
    },
  },
  {
    name: 'TXIDs of all 64 bits survive',
    run: async ({ write, list, read }) => {
      const txids = [2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n];
      for (const txid of txids) await write(fileOf(txid));
      const files = await list();
      assert.deepEqual(
        files.map(({ minTxid }) => minTxid),
        txids,
      );
      for (const file of files) assert.equal((await read(file)).toString(), `file ${file.minTxid}`);
    },
  },
  {
    name: 'seek leaves out files that start before it',
    run: async ({ write, list }) => {
      for (const txid of [1, 5, 6, 20]) await write(fileOf(txid));
      await write({ ...fileOf(2), maxTxid: 30n });
      const expected = [
        [0n, '1-1 2-30 5-5 6-6 20-20'],
        [1n, '1-1 2-30 5-5 6-6 20-20'],
        [2n, '2-30 5-5 6-6 20-20'],
        [3n, '5-5 6-6 20-20'],
        [6n, '6-6 20-20'],
        [7n, '20-20'],
        [21n, ''],
        [2n ** 64n - 1n, ''],
      ] as const;
      for (const [seek, names] of expected) assert.equal(namesOf(await list(0, { seek })), names, `seek ${seek}`);
    },
  },
  {
    name: 'many files: every page is listed, in order, and seek reaches into any of them',
    run: async ({ write, list, listCount }) => {
      const txids = Array.from({ length: listCount }, (_, index) => listCount - index);
      await inParallel(txids, 16, async (txid) => void (await write(fileOf(txid, 'x'))));
      const files = await list();
      assert.equal(files.length, listCount);
      files.forEach((file, index) => assert.equal(file.minTxid, BigInt(index + 1)));
      for (const seek of [2, Math.floor(listCount / 2), listCount - 1, listCount]) {
        const rest = await list(0, { seek: BigInt(seek) });
        assert.equal(rest.length, listCount - seek + 1, `seek ${seek}`);
        assert.equal(rest[0]?.minTxid, BigInt(seek));
      }
    },
  },
  {
    name: 'a listing shows a write at once, and a deletion at once',
    run: async ({ client, write, list }) => {
      for (let txid = 1; txid <= 5; txid++) {
        const info = await write(fileOf(txid));
        assert.equal((await list()).at(-1)?.minTxid, BigInt(txid));
        if (txid % 2 === 0) {
          await client.deleteLtxFiles([info]);
          assert.equal((await list()).at(-1)?.minTxid, BigInt(txid - 1));
        }
      }
    },
  },
  {
    name: 'a listing that is left early can be taken up again',
    run: async ({ client, write, list }) => {
      for (const txid of [1, 2, 3]) await write(fileOf(txid));
      for (let round = 0; round < 10; round++) {
        for await (const file of client.ltxFiles(0)) {
          assert.equal(file.minTxid, 1n);
          break;
        }
      }
      assert.equal(namesOf(await list()), '1-1 2-2 3-3');
      const found: string[] = [];
      for await (const outer of client.ltxFiles(0)) found.push(`${namesOf([outer])}: ${namesOf(await list())}`);
      const inner = '1-1 2-2 3-3';
      assert.deepEqual(
        found,
        [`1-1: ${inner}`, `2-2: ${inner}`, `3-3: ${inner}`],
        'listings at once disturb each other',
      );
    },
  },
  {
    name: 'timestamps come back exactly where the client says so',
    requires: ['timestamps'],
    run: async ({ write, list, capabilities }) => {
      const resolutionMs = capabilities.timestampResolutionMs;
      // Full seconds, trailing zeros, single milliseconds, long ago and in the future.
      const times = [
        1_700_000_000_000, 1_700_000_058_650, 1_700_000_058_600, 1_700_000_001_001, 946_684_800_007, 4_000_000_000_999,
      ];
      const wanted = times.map((ms) => Math.floor(ms / resolutionMs) * resolutionMs);
      for (const [index, ms] of wanted.entries()) {
        const written = await write({ ...fileOf(index + 1), timestamp: new Date(ms) });
        assert.equal(written.timestamp.getTime(), ms, 'the write says another time than it was given');
      }
      const files = await list(0, { useMetadata: true });
      assert.deepEqual(
        files.map(({ timestamp }) => timestamp.getTime()),
        wanted,
      );
      if (capabilities.timestamps !== 'listing') return;
      assert.deepEqual(
        (await list()).map(({ timestamp }) => timestamp.getTime()),
        wanted,
      );
    },
  },
  {
    name: 'useMetadata changes no more than timestamps',
    run: async ({ write, list }) => {
      for (const txid of [3, 1, 2]) await write(fileOf(txid, 'x'.repeat(txid)));
      const strip = (files: Awaited<ReturnType<typeof list>>): unknown =>
        files.map(({ minTxid, maxTxid, level, size }) => ({ minTxid, maxTxid, level, size }));
      assert.deepEqual(strip(await list(0, { useMetadata: true })), strip(await list()));
      assert.equal(namesOf(await list(0, { useMetadata: true, seek: 2n })), '2-2 3-3');
    },
  },
  {
    name: 'what is no LTX file is not listed',
    requires: ['objects'],
    run: async ({ client, write, list }) => {
      await write(fileOf(1));
      const objects = await Array.fromAsync(client.objects?.list('') ?? []);
      const key = objects.find((object) => object.key.endsWith('.ltx'))?.key;
      assert.ok(key !== undefined, 'objects.list does not show the LTX file');
      const folder = key.slice(0, key.lastIndexOf('/') + 1);
      const name = key.slice(folder.length);
      for (const foreign of [`${name}.bak`, 'README', `x${name}`, name.toUpperCase(), '1-1.ltx']) {
        await client.objects?.put(folder + foreign, Buffer.from('foreign'));
      }
      assert.equal(namesOf(await list()), '1-1');
    },
  },
];
