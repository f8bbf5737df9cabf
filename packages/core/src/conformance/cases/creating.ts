import assert from 'node:assert/strict';

import type { LtxFileInfo, ReplicaClient } from '../../storage/contract/contract.ts';
import type { CaseContext, ConformanceCase } from '../model/case.ts';
import { fileOf } from '../model/case.ts';

/** A repeated creation meets what the first one stored, so nothing is injected after the effect. */
const faults = ['before', 'reset', 'latency'] as const;

const timestamp = new Date(1_700_000_000_000);
/** More than the part size of every backend, with a remainder, and of unknown size: it is uploaded in parts. */
const PART_COUNT = 180;
const PART_SIZE = 65_536;

async function create(client: ReplicaClient, bytes: Uint8Array, time = timestamp): Promise<LtxFileInfo> {
  const open = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes;
  };
  const body = { size: bytes.byteLength, open };
  return await client.writeLtxFile({ ...fileOf(1), timestamp: time }, body, { ifNoneMatch: '*' });
}

async function createInParts(client: ReplicaClient, fill: number): Promise<LtxFileInfo> {
  const open = async function* (): AsyncGenerator<Uint8Array> {
    for (let part = 0; part < PART_COUNT; part++) yield Buffer.alloc(PART_SIZE, fill);
    yield Buffer.alloc(1, fill);
  };
  return await client.writeLtxFile({ ...fileOf(1), timestamp }, { open }, { ifNoneMatch: '*' });
}

async function stored({ list, read }: CaseContext): Promise<{ readonly info: LtxFileInfo; readonly bytes: Buffer }> {
  const [info, ...more] = await list();
  assert.ok(info !== undefined && more.length === 0, 'there is one file, and no more');
  return { info, bytes: await read(info) };
}

/** Exactly one of them resolved. Returns which. */
async function winnerOf(context: CaseContext, writers: readonly Promise<unknown>[]): Promise<number> {
  const results = await Promise.allSettled(writers);
  const winners = results.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []));
  for (const result of results) {
    if (result.status === 'fulfilled') continue;
    const code = await context.codeOf(async () => {
      throw result.reason;
    });
    // A server may also say that it is too busy with the others; that is no win either.
    assert.ok(code === 'PRECONDITION_FAILED' || code === 'UNAVAILABLE', `${code}: ${String(result.reason)}`);
  }
  assert.equal(winners.length, 1, `${winners.length} winners`);
  return winners[0] ?? -1;
}

export const creatingCases: readonly ConformanceCase[] = [
  {
    name: 'a file is created only if there is none, and otherwise left as it is',
    requires: ['conditionalCreate'],
    faults,
    run: async (context) => {
      const { client, codeOf, write } = context;
      const created = await create(client, Buffer.from('first'));
      const before = await stored(context);
      assert.equal(created.size, 5);
      assert.equal(before.bytes.toString(), 'first');
      for (const other of ['second', 'again', 'x', '', 'first']) {
        const code = await codeOf(
          async () => await create(client, Buffer.from(other), new Date(timestamp.getTime() + 60_000)),
        );
        assert.equal(code, 'PRECONDITION_FAILED', `"${other}" in place of "first"`);
      }
      const after = await stored(context);
      assert.equal(after.bytes.toString(), 'first');
      assert.deepEqual(after.info, before.info, 'the listing changed');

      await client.deleteLtxFiles([fileOf(1)]);
      await write(fileOf(1, 'not created but written'));
      const code = await codeOf(async () => await create(client, Buffer.from('third')));
      assert.equal(code, 'PRECONDITION_FAILED', 'in place of a file that was written without a condition');
      assert.equal((await stored(context)).bytes.toString(), 'not created but written');

      await client.deleteLtxFiles([fileOf(1)]);
      await create(client, Buffer.from('fourth'));
      assert.equal((await stored(context)).bytes.toString(), 'fourth');
    },
  },
  {
    name: 'an object of several parts is created only if there is none',
    requires: ['conditionalCreate'],
    faults,
    run: async (context) => {
      const { client, codeOf } = context;
      const size = PART_COUNT * PART_SIZE + 1;
      await create(client, Buffer.from('small'));
      assert.equal(await codeOf(async () => await createInParts(client, 1)), 'PRECONDITION_FAILED');
      assert.equal((await stored(context)).bytes.toString(), 'small');

      await client.deleteLtxFiles([fileOf(1)]);
      assert.equal((await createInParts(client, 2)).size, size);
      assert.equal(await codeOf(async () => await createInParts(client, 3)), 'PRECONDITION_FAILED');
      assert.equal(await codeOf(async () => await create(client, Buffer.from('small'))), 'PRECONDITION_FAILED');
      const { bytes } = await stored(context);
      assert.equal(Buffer.compare(bytes, Buffer.alloc(size, 2)), 0, 'the bytes of another');
    },
  },
  {
    name: 'of several that create a file at once exactly one wins',
    requires: ['locked conditionalCreate'],
    faults,
    run: async (context) => {
      const { client, open } = context;
      const other = await open('');
      for (let round = 0; round < 3; round++) {
        const writers = Array.from({ length: 6 }, async (_, index) => {
          await create(index % 2 === 0 ? client : other, Buffer.alloc(10_000 * (index + 1), index + 1));
        });
        const winner = await winnerOf(context, writers);
        const { bytes } = await stored(context);
        assert.equal(Buffer.compare(bytes, Buffer.alloc(10_000 * (winner + 1), winner + 1)), 0, 'the bytes of another');
        await client.deleteLtxFiles([fileOf(1)]);
      }
      await other[Symbol.asyncDispose]();
    },
  },
  {
    name: 'of two that create an object of several parts at once exactly one wins',
    requires: ['locked conditionalCreate'],
    faults,
    run: async (context) => {
      const other = await context.open('');
      const clients = [context.client, other];
      const winner = await winnerOf(
        context,
        clients.map(async (client, index) => await createInParts(client, index + 1)),
      );
      const { bytes } = await stored(context);
      assert.equal(Buffer.compare(bytes, Buffer.alloc(PART_COUNT * PART_SIZE + 1, winner + 1)), 0);
      await other[Symbol.asyncDispose]();
    },
  },
];
