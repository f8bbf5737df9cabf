/** A body that is opened and never iterated keeps its connection, or its descriptor: nothing in core leaves one behind. */
import { expect, test } from 'vitest';

import type { LtxFileBody, Op } from '../src/storage/contract/contract.ts';
import { Leaser } from '../src/lease/leaser.ts';
import { LEASE_KEY } from '../src/lease/record.ts';
import { runConformance } from '../src/conformance/index.ts';
import { readObject } from '../src/restore/v3/read-object.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { caught } from './client-guard-support.ts';

/** What was opened and neither iterated nor aborted, by name. */
class Tracked extends MemoryClient {
  static readonly kept: Map<object, string> = new Map();

  constructor(options?: ConstructorParameters<typeof MemoryClient>[0]) {
    super(options);
    const open = this.objects.open.bind(this.objects);
    this.objects.open = async (key, range) => {
      const { info, body } = await open(key, range);
      return { info, body: track(body, key, range) };
    };
  }

  override async openLtxFile(...args: Parameters<MemoryClient['openLtxFile']>): Promise<LtxFileBody> {
    const body = await super.openLtxFile(...args);
    return Object.assign(track(body, `level ${args[0].level}`, args[1]), { info: body.info });
  }
}

function track(body: AsyncIterable<Uint8Array>, name: string, { signal }: Op = {}): AsyncIterable<Uint8Array> {
  const key = {};
  Tracked.kept.set(key, name);
  signal?.addEventListener('abort', () => Tracked.kept.delete(key), { once: true });
  return {
    async *[Symbol.asyncIterator]() {
      try {
        yield* body;
      } finally {
        Tracked.kept.delete(key);
      }
    },
  };
}

test('by the suite', async () => {
  const stores = new Map<string, MemoryClient>();
  const client = (path: string): MemoryClient => {
    const first = stores.get(path);
    if (first !== undefined) return new Tracked({ store: first.store });
    const made = new Tracked();
    stores.set(path, made);
    return made;
  };
  const { results } = await runConformance({ name: 'tracked', client, fileCount: 20 });
  expect(results.some(({ name, outcome }) => name === 'an object is read in ranges' && outcome === 'passed')).toBe(
    true,
  );
  expect([...Tracked.kept.values()]).toEqual([]);
});

test('by a lease that is too large to be one', async () => {
  const client = new Tracked();
  await client.objects.put(LEASE_KEY, Buffer.alloc(100_000, '{'));
  expect(await caught(async () => await new Leaser(client).acquire())).toMatchObject({ code: 'LEASE_HELD' });
  expect([...Tracked.kept.values()]).toEqual([]);
});

test('by the read of an object that is another one now', async () => {
  const client = new Tracked();
  const listed = await client.objects.put('wal', Buffer.from('older'));
  await client.objects.put('wal', Buffer.from('newer'));
  const read = async (): Promise<unknown> => await Array.fromAsync(readObject(client, listed));
  expect(await caught(read)).toMatchObject({ code: 'OBJECT_CHANGED' });
  expect([...Tracked.kept.values()]).toEqual([]);
});
