import assert from 'node:assert/strict';

import type { ObjectOperations } from '../../storage/contract/contract.ts';
import { compareKeys } from '../../storage/contract/object-names.ts';
import type { CaseContext, ConformanceCase } from '../model/case.ts';
import { fileOf, inParallel } from '../model/case.ts';

function objectsOf({ client }: CaseContext): ObjectOperations {
  assert.ok(client.objects !== undefined, 'the client declares objects and has none');
  return client.objects;
}

async function keysOf(objects: ObjectOperations, prefix = ''): Promise<string[]> {
  return (await Array.fromAsync(objects.list(prefix))).map(({ key }) => key);
}

export const objectCases: readonly ConformanceCase[] = [
  {
    name: 'an object is put, listed, opened and deleted by its key',
    requires: ['objects'],
    run: async (context) => {
      const objects = objectsOf(context);
      const put = await objects.put('a/b.json', Buffer.from('{"x":1}'));
      assert.equal(put.key, 'a/b.json');
      assert.equal(put.size, 7);
      const [listed, ...more] = await Array.fromAsync(objects.list(''));
      assert.equal(more.length, 0);
      assert.equal(listed?.key, 'a/b.json');
      assert.equal(listed?.size, 7);
      assert.ok(Math.abs((listed?.lastModified.getTime() ?? 0) - Date.now()) < 3_600_000, 'lastModified is far off');
      assert.equal((await context.readObject('a/b.json')).toString(), '{"x":1}');
      await objects.delete('a/b.json');
      assert.deepEqual(await keysOf(objects), []);
      assert.equal(await context.codeOf(async () => await objects.open('a/b.json')), 'NOT_FOUND');
    },
  },
  {
    name: 'objects are listed by prefix, in the order of their keys',
    requires: ['objects'],
    run: async (context) => {
      const objects = objectsOf(context);
      const keys = ['b', 'a/1', 'a/10', 'a/2', 'a.txt', 'ab/1', 'generations/0123/wal/1.lz4', 'a/ü ☃', 'A'];
      for (const key of keys) await objects.put(key, Buffer.from(key));
      assert.deepEqual(await keysOf(objects), keys.toSorted(compareKeys));
      assert.deepEqual(await keysOf(objects, 'a/'), ['a/1', 'a/10', 'a/2', 'a/ü ☃']);
      assert.deepEqual(await keysOf(objects, 'a/1'), ['a/1', 'a/10']);
      assert.deepEqual(await keysOf(objects, 'generations/0123/'), ['generations/0123/wal/1.lz4']);
      assert.deepEqual(await keysOf(objects, 'missing/'), []);
      for (const key of keys) assert.equal((await context.readObject(key)).toString(), key);
    },
  },
  {
    name: 'many objects: every page is listed',
    requires: ['objects'],
    run: async (context) => {
      const objects = objectsOf(context);
      // Two pages: the case about many LTX files lists more.
      const count = Math.min(context.listCount, 1100);
      const keys = Array.from({ length: count }, (_, index) => `many/${String(index).padStart(6, '0')}`);
      await inParallel(keys, 16, async (key) => void (await objects.put(key, Buffer.from('x'))));
      assert.deepEqual(await keysOf(objects, 'many/'), keys);
    },
  },
  {
    name: 'an object is read in ranges',
    requires: ['objects', 'ranges'],
    run: async (context) => {
      const objects = objectsOf(context);
      await objects.put('k', Buffer.from('0123456789'));
      for (const [range, text] of [
        [{ offset: 3, size: 4 }, '3456'],
        [{ offset: 8 }, '89'],
        [{ size: 2 }, '01'],
        [{ offset: 8, size: 100 }, '89'],
      ] as const) {
        assert.equal((await context.readObject('k', range)).toString(), text, JSON.stringify(range));
      }
      const { info, body } = await objects.open('k', { offset: 2, size: 3 });
      assert.equal(info.size, 10, 'info describes the whole object, not the range');
      // Its bytes were compared above. Reading it here frees its connection; a fault may break that read.
      await Array.fromAsync(body).catch(() => undefined);
    },
  },
  {
    name: 'putting an object again replaces it and changes its version',
    requires: ['objects'],
    run: async (context) => {
      const objects = objectsOf(context);
      const first = await objects.put('k', Buffer.from('one'));
      const second = await objects.put('k', Buffer.from('two'));
      assert.equal((await context.readObject('k')).toString(), 'two');
      if (context.capabilities.conditions) assert.ok(first.version !== undefined && second.version !== undefined);
      if (first.version !== undefined) assert.notEqual(second.version, first.version);
    },
  },
  {
    name: 'an object of no bytes is an object',
    requires: ['objects'],
    run: async (context) => {
      const objects = objectsOf(context);
      await objects.put('empty', new Uint8Array());
      assert.deepEqual(await keysOf(objects), ['empty']);
      assert.equal((await context.readObject('empty')).length, 0);
    },
  },
  {
    name: 'deleting an object that is gone is no error',
    requires: ['objects'],
    run: async (context) => {
      const objects = objectsOf(context);
      await objects.delete('missing');
      await objects.put('k', Buffer.from('x'));
      await objects.delete('k');
      await objects.delete('k');
      assert.deepEqual(await keysOf(objects), []);
    },
  },
  {
    name: 'objects of a neighbouring path are not seen',
    requires: ['objects'],
    run: async (context) => {
      const objects = objectsOf(context);
      const neighbour = await context.open('2');
      await neighbour.objects?.put('theirs', Buffer.from('x'));
      await objects.put('mine', Buffer.from('x'));
      assert.deepEqual(await keysOf(objects), ['mine']);
      assert.deepEqual(await keysOf(objectsOf({ ...context, client: neighbour })), ['theirs']);
      await neighbour[Symbol.asyncDispose]();
    },
  },
  {
    name: 'objects declared false are absent, or reject as UNSUPPORTED',
    requires: ['no objects'],
    run: async ({ client, codeOf, write }) => {
      await write(fileOf(1));
      const { objects } = client;
      if (objects === undefined) return;
      assert.equal(await codeOf(async () => await Array.fromAsync(objects.list(''))), 'UNSUPPORTED');
      assert.equal(await codeOf(async () => await objects.open('k')), 'UNSUPPORTED');
      assert.equal(await codeOf(async () => await objects.put('k', Buffer.from('x'))), 'UNSUPPORTED');
      assert.equal(await codeOf(async () => await objects.delete('k')), 'UNSUPPORTED');
    },
  },
];
