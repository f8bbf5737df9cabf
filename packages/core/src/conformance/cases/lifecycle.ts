import assert from 'node:assert/strict';

import type { ConformanceCase } from '../model/case.ts';
import { fileOf, namesOf } from '../model/case.ts';

export const lifecycleCases: readonly ConformanceCase[] = [
  {
    name: 'type and capabilities are well formed',
    run: async ({ client, capabilities }) => {
      assert.ok(/^[a-z][a-z0-9+.-]*$/.test(client.type), `type ${JSON.stringify(client.type)}`);
      assert.equal(client.objects !== undefined || !capabilities.objects, true, 'objects declared, but not there');
      assert.ok(capabilities.timestampResolutionMs >= 1);
      assert.equal(client.capabilities, client.capabilities, 'capabilities change');
    },
  },
  {
    name: 'init is idempotent, also when called at once',
    run: async ({ client, write, list }) => {
      await Promise.all([client.init(), client.init(), client.init()]);
      await client.init();
      await write(fileOf(1));
      await client.init();
      assert.equal(namesOf(await list()), '1-1', 'init changed the replica');
    },
  },
  {
    name: 'init makes nothing that a listing shows',
    run: async ({ client, list }) => {
      for (let level = 0; level <= 9; level++) assert.deepEqual(await list(level), []);
      if (client.objects === undefined) return;
      assert.deepEqual(
        (await Array.fromAsync(client.objects.list(''))).map(({ key }) => key),
        [],
      );
    },
  },
  {
    name: 'dispose can be repeated, and ends no other client',
    run: async ({ open, write, list }) => {
      const other = await open('');
      await write(fileOf(1), other);
      await other[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
      await write(fileOf(2));
      assert.equal(namesOf(await list()), '1-1 2-2');
    },
  },
  {
    name: 'what one client wrote another one reads',
    run: async ({ open, write, list, read }) => {
      await write(fileOf(1, 'from the first'));
      const other = await open('');
      const [info] = await list(0, {}, other);
      assert.ok(info !== undefined);
      assert.equal((await read(info, {}, other)).toString(), 'from the first');
      await other.deleteLtxFiles([info]);
      await other[Symbol.asyncDispose]();
      assert.equal(namesOf(await list()), '');
    },
  },
];
