import assert from 'node:assert/strict';

import type { ObjectOperations } from '../../storage/contract/contract.ts';
import { Leaser } from '../../lease/leaser.ts';
import { hasCode } from '../../util/error.ts';
import type { CaseContext, ConformanceCase } from '../model/case.ts';

/** A conditional call that took effect must not be repeated, so only faults without effect are injected. */
const faults = ['before', 'latency'] as const;

function objectsOf({ client }: CaseContext): ObjectOperations {
  assert.ok(client.objects !== undefined, 'the client declares objects and has none');
  return client.objects;
}

const bytes = (text: string): Buffer => Buffer.from(text);

export const conditionCases: readonly ConformanceCase[] = [
  {
    name: 'ifNoneMatch creates an object only if there is none',
    requires: ['conditions'],
    faults,
    run: async (context) => {
      const objects = objectsOf(context);
      await objects.put('lock', bytes('first'), { ifNoneMatch: '*' });
      const again = await context.codeOf(async () => await objects.put('lock', bytes('second'), { ifNoneMatch: '*' }));
      assert.equal(again, 'PRECONDITION_FAILED');
      assert.equal((await context.readObject('lock')).toString(), 'first');
      await objects.delete('lock');
      await objects.put('lock', bytes('third'), { ifNoneMatch: '*' });
      assert.equal((await context.readObject('lock')).toString(), 'third');
    },
  },
  {
    name: 'ifMatch replaces an object only if it is the version named',
    requires: ['conditions'],
    faults,
    run: async (context) => {
      const objects = objectsOf(context);
      const first = await objects.put('lock', bytes('first'));
      assert.ok(first.version !== undefined, 'put gives no version');
      const second = await objects.put('lock', bytes('second'), { ifMatch: first.version });
      assert.ok(second.version !== undefined && second.version !== first.version);
      const stale = first.version;
      assert.equal(
        await context.codeOf(async () => await objects.put('lock', bytes('late'), { ifMatch: stale })),
        'PRECONDITION_FAILED',
      );
      assert.equal((await context.readObject('lock')).toString(), 'second');
    },
  },
  {
    name: 'ifMatch never creates an object',
    requires: ['conditions'],
    faults,
    run: async (context) => {
      const objects = objectsOf(context);
      const { version = '' } = await objects.put('lock', bytes('x'));
      await objects.delete('lock');
      const code = await context.codeOf(async () => await objects.put('lock', bytes('y'), { ifMatch: version }));
      assert.ok(code === 'PRECONDITION_FAILED' || code === 'NOT_FOUND', code);
      assert.equal(await context.codeOf(async () => await objects.open('lock')), 'NOT_FOUND');
    },
  },
  {
    name: 'put, open and list name the same version',
    requires: ['conditions'],
    run: async (context) => {
      const objects = objectsOf(context);
      const put = await objects.put('lock', bytes('x'));
      const [listed] = await Array.fromAsync(objects.list('lock'));
      const { info, body } = await objects.open('lock');
      for await (const _ of body) break;
      assert.ok(put.version !== undefined);
      assert.equal(info.version, put.version);
      assert.equal(listed?.version, put.version);
    },
  },
  {
    name: 'delete with ifMatch deletes the version named, and no other',
    requires: ['conditionalDelete'],
    faults,
    run: async (context) => {
      const objects = objectsOf(context);
      const first = await objects.put('lock', bytes('first'));
      const second = await objects.put('lock', bytes('second'));
      const ifMatch = first.version ?? '';
      assert.equal(await context.codeOf(async () => await objects.delete('lock', { ifMatch })), 'PRECONDITION_FAILED');
      assert.equal((await context.readObject('lock')).toString(), 'second');
      await objects.delete('lock', { ifMatch: second.version ?? '' });
      assert.equal(await context.codeOf(async () => await objects.open('lock')), 'NOT_FOUND');
    },
  },
  {
    name: 'delete with ifMatch of what is gone rejects with NOT_FOUND',
    requires: ['conditionalDelete'],
    faults,
    run: async (context) => {
      const objects = objectsOf(context);
      const { version = '' } = await objects.put('lock', bytes('x'));
      await objects.delete('lock');
      assert.equal(await context.codeOf(async () => await objects.delete('lock', { ifMatch: version })), 'NOT_FOUND');
    },
  },
  {
    name: 'of eight that create an object at once exactly one wins',
    requires: ['conditions'],
    faults,
    run: async (context) => {
      const objects = objectsOf(context);
      for (let round = 0; round < 3; round++) {
        const key = `race-${round}`;
        const writers = Array.from({ length: 8 }, async (_, index) => {
          await objects.put(key, bytes(`writer ${index}`), { ifNoneMatch: '*' });
          return index;
        });
        await assertOneWinner(context, writers, key);
      }
    },
  },
  {
    name: 'of eight that replace a version at once exactly one wins',
    requires: ['conditions'],
    faults,
    run: async (context) => {
      const objects = objectsOf(context);
      for (let round = 0; round < 3; round++) {
        const key = `race-${round}`;
        const { version = '' } = await objects.put(key, bytes('before'));
        const writers = Array.from({ length: 8 }, async (_, index) => {
          await objects.put(key, bytes(`writer ${index}`), { ifMatch: version });
          return index;
        });
        await assertOneWinner(context, writers, key);
      }
    },
  },
  {
    name: 'a lease is acquired, renewed, released, and taken over when it has expired',
    requires: ['conditions'],
    faults,
    run: async ({ client, open, codeOf }) => {
      const other = await open('');
      let nowMs = 1_700_000_000_000;
      const mine = new Leaser(client, { owner: 'mine', now: () => nowMs });
      const theirs = new Leaser(other, { owner: 'theirs', now: () => nowMs });
      const first = await mine.acquire();
      assert.equal(first.generation, 1);
      assert.equal(await codeOf(async () => await theirs.acquire()), 'LEASE_HELD');
      nowMs += 20_000;
      const renewed = await mine.renew(first);
      assert.equal(renewed.expiresAt.getTime(), nowMs + 30_000);
      nowMs += 29_999;
      assert.equal(await codeOf(async () => await theirs.acquire()), 'LEASE_HELD');
      nowMs += 2;
      const taken = await theirs.acquire();
      assert.equal(taken.generation, 2);
      assert.equal(await codeOf(async () => await mine.renew(renewed)), 'LEASE_HELD');
      assert.equal(await codeOf(async () => await mine.release(renewed)), 'LEASE_HELD');
      await theirs.release(taken);
      await theirs.release(taken);
      // A released lease stays as a record, so generations only increase.
      assert.equal((await mine.acquire()).generation, 3);
      await other[Symbol.asyncDispose]();
    },
  },
  {
    name: 'conditions declared false reject as UNSUPPORTED',
    requires: ['objects', 'no conditions'],
    run: async (context) => {
      const objects = objectsOf(context);
      const { codeOf } = context;
      await objects.put('k', bytes('x'));
      assert.equal(await codeOf(async () => await objects.put('k2', bytes('x'), { ifNoneMatch: '*' })), 'UNSUPPORTED');
      assert.equal(await codeOf(async () => await objects.put('k', bytes('y'), { ifMatch: 'v' })), 'UNSUPPORTED');
      assert.equal((await context.readObject('k')).toString(), 'x');
    },
  },
  {
    name: 'conditional deletes declared false reject as UNSUPPORTED',
    requires: ['objects', 'no conditionalDelete'],
    run: async (context) => {
      const objects = objectsOf(context);
      const { version = 'v' } = await objects.put('k', bytes('x'));
      assert.equal(await context.codeOf(async () => await objects.delete('k', { ifMatch: version })), 'UNSUPPORTED');
      assert.equal((await context.readObject('k')).toString(), 'x');
    },
  },
];

async function assertOneWinner(context: CaseContext, writers: readonly Promise<number>[], key: string): Promise<void> {
  const results = await Promise.allSettled(writers);
  const winners = results.filter((result) => result.status === 'fulfilled');
  assert.equal(winners.length, 1, `${winners.length} winners`);
  for (const result of results) {
    if (result.status === 'fulfilled') continue;
    const code = await context.codeOf(async () => {
      throw result.reason;
    });
    // A server may also say that it is too busy with the others; that is no win either.
    assert.ok(code === 'PRECONDITION_FAILED' || hasCode(result.reason, 'UNAVAILABLE') || code === 'UNAVAILABLE', code);
  }
  assert.equal((await context.readObject(key)).toString(), `writer ${winners[0]?.value}`);
}
