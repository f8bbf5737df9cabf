import assert from 'node:assert/strict';

import type { ConformanceCase } from '../model/case.ts';
import { fileOf, namesOf } from '../model/case.ts';
import { socketCount } from './reading.ts';

const timestamp = new Date(1_700_000_000_000);

/** The reason must arrive unchanged, so that the caller recognises its own abort. */
async function assertAborted(call: () => Promise<unknown>, reason: unknown, what: string): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (error !== reason) {
      assert.fail(`${what} rejected, but not with the signal's reason: ${String(error)}`);
    }
    return;
  }
  assert.fail(`${what} ignored the abort`);
}

export const abortingCases: readonly ConformanceCase[] = [
  {
    name: 'an aborted signal stops every operation before it starts',
    run: async ({ client, write, list }) => {
      await write(fileOf(1));
      const reason = new Error('aborted by the test');
      const signal = AbortSignal.abort(reason);
      const body = {
        open: async function* () {
          yield Buffer.from('x');
        },
      };
      await assertAborted(async () => await Array.fromAsync(client.ltxFiles(0, { signal })), reason, 'ltxFiles');
      await assertAborted(
        async () => await Array.fromAsync(await client.openLtxFile(fileOf(1), { signal })),
        reason,
        'openLtxFile',
      );
      await assertAborted(
        async () => await client.writeLtxFile({ ...fileOf(2), timestamp }, body, { signal }),
        reason,
        'writeLtxFile',
      );
      await assertAborted(async () => await client.deleteLtxFiles([fileOf(1)], { signal }), reason, 'deleteLtxFiles');
      await assertAborted(async () => await client.deleteAll({ signal }), reason, 'deleteAll');
      assert.equal(namesOf(await list()), '1-1', 'an aborted operation took effect');
    },
  },
  {
    name: 'an aborted signal stops every operation on objects before it starts',
    requires: ['objects'],
    run: async ({ client: { objects }, readObject }) => {
      assert.ok(objects !== undefined);
      await objects.put('a', Buffer.from('1'));
      const reason = new Error('aborted by the test');
      const signal = AbortSignal.abort(reason);
      await assertAborted(async () => await Array.fromAsync(objects.list('', { signal })), reason, 'objects.list');
      await assertAborted(
        async () => await Array.fromAsync((await objects.open('a', { signal })).body),
        reason,
        'objects.open',
      );
      await assertAborted(async () => await objects.put('a', Buffer.from('2'), { signal }), reason, 'objects.put');
      await assertAborted(async () => await objects.delete('a', { signal }), reason, 'objects.delete');
      assert.equal((await readObject('a')).toString(), '1');
    },
  },
  {
    name: 'an aborted write leaves nothing behind',
    run: async ({ client, list, codeOf, write, read }) => {
      for (const abortAt of [1, 5]) {
        const controller = new AbortController();
        const reason = new Error(`aborted by the test at chunk ${abortAt}`);
        const body = {
          open: async function* () {
            for (let index = 0; index < 100; index++) {
              if (index === abortAt) controller.abort(reason);
              yield Buffer.alloc(65_536, index);
            }
          },
        };
        await assertAborted(
          async () => await client.writeLtxFile({ ...fileOf(1), timestamp }, body, { signal: controller.signal }),
          reason,
          'writeLtxFile',
        );
        assert.equal(namesOf(await list()), '', 'an aborted write is listed');
        assert.equal(await codeOf(async () => await client.openLtxFile(fileOf(1))), 'NOT_FOUND');
        // A part under its own name would take space permanently.
        const objects = await Array.fromAsync(client.objects?.list('') ?? []);
        assert.deepEqual(
          objects.map(({ key }) => key),
          [],
          'an aborted write left objects',
        );
      }
      const info = await write(fileOf(1, 'after'));
      assert.equal((await read(info)).toString(), 'after', 'no write after an aborted one');
    },
  },
  {
    name: 'an abort ends a read in the middle',
    run: async ({ client, write, read, random, variation }) => {
      const bytes = Buffer.concat([random.bytes(100_000), Buffer.alloc(4_000_000, 5)]);
      const info = await write(fileOf(1, bytes));
      const socketsBefore = socketCount();
      for (let round = 0; round < 10; round++) {
        const controller = new AbortController();
        const reason = new Error('aborted by the test');
        let received = 0;
        await assertAborted(
          async () => {
            for await (const chunk of await client.openLtxFile(info, { signal: controller.signal })) {
              received += chunk.byteLength;
              // All of it in one chunk: there is no middle to abort in.
              if (received === chunk.byteLength && received === bytes.length) throw reason;
              controller.abort(reason);
            }
            // An injected early end may come in place of an answer to the abort.
            if (variation === 'faults' && received < bytes.length) throw reason;
          },
          reason,
          'openLtxFile',
        ).catch((error: unknown) => {
          if (!String(error).includes('injected')) throw error;
        });
      }
      assert.equal(Buffer.compare(await read(info), bytes), 0, 'no read after aborted ones');
      const grown = socketCount() - socketsBefore;
      assert.ok(grown < 15, `${grown} sockets more than before 10 aborted reads`);
    },
  },
  {
    name: 'an abort ends a listing in the middle',
    run: async ({ client, write, list }) => {
      for (let txid = 1; txid <= 5; txid++) await write(fileOf(txid));
      const controller = new AbortController();
      const reason = new Error('aborted by the test');
      await assertAborted(
        async () => {
          for await (const _ of client.ltxFiles(0, { signal: controller.signal })) controller.abort(reason);
        },
        reason,
        'ltxFiles',
      );
      assert.equal((await list()).length, 5);
    },
  },
];
