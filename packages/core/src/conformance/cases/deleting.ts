import assert from 'node:assert/strict';

import type { ConformanceCase } from '../model/case.ts';
import { fileOf, inParallel, namesOf } from '../model/case.ts';

export const deletingCases: readonly ConformanceCase[] = [
  {
    name: 'deletes the named files and no others',
    run: async ({ client, write, list }) => {
      for (const txid of [1, 2, 3, 16]) await write(fileOf(txid));
      await write({ ...fileOf(1), maxTxid: 2n });
      await write(fileOf(2, 'x', 1));
      await client.deleteLtxFiles([fileOf(2), fileOf(1)]);
      assert.equal(namesOf(await list()), '1-2 3-3 16-16');
      assert.equal(namesOf(await list(1)), '2-2');
    },
  },
  {
    name: 'deleting what is gone is no error',
    run: async ({ client, write, list }) => {
      await client.deleteLtxFiles([fileOf(1)]);
      await write(fileOf(1));
      await write(fileOf(2));
      await client.deleteLtxFiles([fileOf(7), fileOf(1), fileOf(8)]);
      await client.deleteLtxFiles([fileOf(1)]);
      assert.equal(namesOf(await list()), '2-2');
    },
  },
  {
    name: 'deleting no files is no error',
    run: async ({ client, write, list }) => {
      await write(fileOf(1));
      await client.deleteLtxFiles([]);
      assert.equal(namesOf(await list()), '1-1');
    },
  },
  {
    name: 'thousands of files, some of them gone, are deleted in one call',
    run: async ({ client, write, list, fileCount }) => {
      const txids = Array.from({ length: Math.ceil(fileCount / 8) }, (_, index) => 8 * index + 1);
      txids.push(fileCount, fileCount + 1);
      await inParallel(txids, 16, async (txid) => void (await write(fileOf(txid, 'x'))));
      const files = Array.from({ length: fileCount - 2 }, (_, index) => fileOf(index + 2));
      await client.deleteLtxFiles(files);
      const kept = txids.filter((txid) => txid === 1 || txid >= fileCount);
      assert.equal(namesOf(await list()), kept.map((txid) => `${txid}-${txid}`).join(' '));
    },
  },
  {
    name: 'deleteAll deletes the files of every level',
    run: async ({ client, write, list }) => {
      for (const level of [0, 1, 3, 9]) for (const txid of [1, 2]) await write(fileOf(txid, 'x', level));
      await client.deleteAll();
      for (let level = 0; level <= 9; level++) assert.equal(namesOf(await list(level)), '', `level ${level}`);
      await client.deleteAll();
      await write(fileOf(3));
      assert.equal(namesOf(await list()), '3-3');
    },
  },
  {
    name: 'deleteAll of a replica that is not there is no error',
    run: async ({ client }) => {
      await client.deleteAll();
    },
  },
  {
    name: 'deleteAll leaves a neighbour alone whose path begins the same',
    run: async ({ client, open, write, list }) => {
      for (const suffix of ['2', '.old', '-wal']) {
        const neighbour = await open(suffix);
        await write(fileOf(1), neighbour);
        await write(fileOf(1, 'x', 9), neighbour);
        await neighbour[Symbol.asyncDispose]();
      }
      await write(fileOf(5));
      await client.deleteAll();
      assert.equal(namesOf(await list()), '');
      for (const suffix of ['2', '.old', '-wal']) {
        const neighbour = await open(suffix);
        assert.equal(namesOf(await list(0, {}, neighbour)), '1-1', `the neighbour ${suffix} lost files`);
        assert.equal(namesOf(await list(9, {}, neighbour)), '1-1', `the neighbour ${suffix} lost snapshots`);
        await neighbour[Symbol.asyncDispose]();
      }
    },
  },
  {
    name: 'deleteAll leaves objects alone that are no LTX files',
    requires: ['objects'],
    run: async ({ client, write, readObject }) => {
      await write(fileOf(1));
      await client.objects?.put('keep.txt', Buffer.from('kept'));
      await client.deleteAll();
      assert.equal((await readObject('keep.txt')).toString(), 'kept');
    },
  },
  {
    name: 'replicas of neighbouring paths do not see each other',
    run: async ({ open, write, list, read }) => {
      const neighbour = await open('2');
      await write(fileOf(1, 'mine'));
      await write(fileOf(2, 'theirs'), neighbour);
      assert.equal(namesOf(await list()), '1-1');
      const [theirs, ...more] = await list(0, {}, neighbour);
      assert.equal(more.length, 0);
      assert.ok(theirs !== undefined);
      assert.equal((await read(theirs, {}, neighbour)).toString(), 'theirs');
      await neighbour[Symbol.asyncDispose]();
    },
  },
  {
    name: 'paths with spaces, unicode and signs of URLs hold a replica like any other',
    run: async ({ open, write, list, read }) => {
      for (const suffix of [' with  spaces', 'ünïcødé-日本語-🎉', '+plus&amp=%41#?', "o'clock (1)"]) {
        const client = await open(`/${suffix}`);
        await write(fileOf(1, suffix), client);
        const [info, ...more] = await list(0, {}, client);
        assert.equal(more.length, 0);
        assert.ok(info !== undefined, `nothing listed under ${suffix}`);
        assert.equal((await read(info, {}, client)).toString(), suffix);
        await client.deleteAll();
        assert.equal(namesOf(await list(0, {}, client)), '');
        await client[Symbol.asyncDispose]();
      }
    },
  },
];
