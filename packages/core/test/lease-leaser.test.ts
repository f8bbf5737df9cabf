/** Leases: one holder at a time, whatever the network does. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { FileClient } from '../src/storage/file/file-client.ts';
import { guardClient } from '../src/storage/guard/guard-client.ts';
import { LitestreamError } from '../src/util/error.ts';
import { Leaser } from '../src/lease/leaser.ts';
import { LEASE_KEY } from '../src/lease/record.ts';
import { FaultClient, MemoryClient, MemoryStore, Seeded } from '../src/testing/index.ts';
import { caught } from './client-guard-support.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

describe('Leaser', () => {
  it('writes the fields of Litestream (Go), and others that its parser ignores', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lease-'));
    const nowMs = Date.UTC(2026, 10, 1, 12);
    const leaser = new Leaser(new FileClient({ path: folder }), { owner: 'host:1', now: () => nowMs });
    const lease = await leaser.acquire();
    const content = (): unknown => JSON.parse(readFileSync(join(folder, LEASE_KEY), 'utf8'));
    const first = { generation: 1, expires_at: '2026-11-01T12:00:30.000Z', owner: 'host:1', ttl_ms: 30_000 };
    expect(content()).toEqual({
      ...first,
      session: expect.any(String) as string,
      acquired_at: '2026-11-01T12:00:00.000Z',
    });
    await leaser.release(await leaser.renew(lease, { acknowledgedTxid: 0x1an }));
    expect(content()).toMatchObject({
      generation: 1,
      expires_at: '1970-01-01T00:00:00.000Z',
      owner: 'host:1',
      acknowledged_txid: '000000000000001a',
      released_at: '2026-11-01T12:00:00.000Z',
    });
    removeFolder(folder);
  });

  it('respects a lease of upstream, and takes it over with the next generation once it has expired', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lease-'));
    const text = '{"generation":41,"expires_at":"2026-11-01T12:00:30.123456789+01:00","owner":"go:7"}';
    writeFileSync(join(folder, LEASE_KEY), text);
    let nowMs = Date.UTC(2026, 10, 1, 11, 0, 30);
    const leaser = new Leaser(new FileClient({ path: folder }), { owner: 'ours', now: () => nowMs });
    expect(await caught(async () => await leaser.acquire())).toMatchObject({
      code: 'LEASE_HELD',
      message: expect.stringContaining('go:7 until 2026-11-01T11:00:30.123Z') as string,
    });
    nowMs += 200;
    expect(await leaser.acquire()).toMatchObject({ generation: 42, owner: 'ours' });
    removeFolder(folder);
  });

  it.each(['', '{', '[]', 'null', '{"generation":"1"}', '{"generation":1,"expires_at":"soon"}'])(
    'does not take what is no lease for a free one: %j',
    async (text) => {
      const client = new MemoryClient();
      await client.objects.put(LEASE_KEY, Buffer.from(text));
      const leaser = new Leaser(client);
      expect(await caught(async () => await leaser.acquire())).toMatchObject({ code: 'LEASE_HELD' });
      expect(Buffer.from(client.store.entries.get(LEASE_KEY)?.bytes ?? []).toString()).toBe(text);
    },
  );

  it('reads no more than the size limit of a lease, even if the announced size is smaller', async () => {
    const client = new MemoryClient();
    let chunkCount = 0;
    const body = async function* (): AsyncGenerator<Uint8Array> {
      for (; ; chunkCount++) yield await Promise.resolve(new Uint8Array(1024));
    };
    const info = { key: LEASE_KEY, size: 100, lastModified: new Date() };
    Object.assign(client.objects, { open: () => Promise.resolve({ info, body: body() }) });
    expect(await caught(async () => await new Leaser(client).read())).toMatchObject({ code: 'LEASE_HELD' });
    expect(chunkCount).toBeLessThan(100);
  });

  it('reads the name of an owner as a short text without control characters', async () => {
    const client = new MemoryClient();
    const owner = `\u001B]0;title\u0007\n\u202Ehost:1${'x'.repeat(1000)}`;
    const text = JSON.stringify({ generation: 1, expires_at: '2026-11-01T12:00:00Z', owner });
    await client.objects.put(LEASE_KEY, Buffer.from(text));
    const lease = await new Leaser(client).read();
    expect(lease?.owner).toMatch(/^\?\]0;title\?\?\?host:1x+$/);
    expect(lease?.owner.length).toBeLessThan(400);
  });

  it('keeps the acknowledged TXID from holder to holder, until the lease is broken', async () => {
    const store = new MemoryStore();
    let nowMs = 0;
    const now = (): number => nowMs;
    const [a, b, c] = ['a', 'b', 'c'].map((owner) => new Leaser(new MemoryClient({ store }), { owner, now }));
    await a!.release(await a!.acquire(), { acknowledgedTxid: 7n });
    const taken = await b!.acquire();
    expect(taken).toMatchObject({ generation: 2, acknowledgedTxid: 7n });
    expect(await c!.break()).toMatchObject({ generation: 2, owner: 'b' });
    expect(await caught(async () => await b!.renew(taken))).toMatchObject({ code: 'LEASE_HELD' });
    // Its holder may be alive, and writes until it renews.
    expect(await caught(async () => await c!.acquire())).toMatchObject({
      code: 'LEASE_HELD',
      message: expect.stringContaining('no process since it was broken at') as string,
    });
    const broken = await a!.read();
    expect(await c!.break()).toEqual(broken);
    expect(await a!.read()).toEqual(broken);
    nowMs += 30_001;
    const next = await c!.acquire();
    expect(next.generation).toBe(3);
    expect(next.acknowledgedTxid).toBeUndefined();
    // No process writes under a lease that was released.
    await c!.release(next, { acknowledgedTxid: 9n });
    await b!.break();
    expect((await a!.acquire()).acknowledgedTxid).toBeUndefined();
    expect(await new Leaser(new MemoryClient()).break()).toBeUndefined();
  });

  it('breaks a lease that its holder renews meanwhile, and not one that another process has taken', async () => {
    const store = new MemoryStore();
    let nowMs = 0;
    const now = (): number => nowMs;
    const holder = new Leaser(new MemoryClient({ store }), { owner: 'holder', now });
    const next = new Leaser(new MemoryClient({ store }), { owner: 'next', now });
    let lease = await holder.acquire();
    // Runs between the read and the write of the operator.
    const between: (() => Promise<unknown>)[] = [];
    const client = new MemoryClient({ store });
    const open = client.objects.open.bind(client.objects);
    Object.assign(client.objects, {
      open: async (...args: Parameters<typeof open>) => {
        const opened = await open(...args);
        await between.shift()?.();
        return opened;
      },
    });
    const operator = new Leaser(client, { owner: 'operator', now });
    const renew = async (): Promise<unknown> => (lease = await holder.renew(lease));
    between.push(renew, () => Promise.resolve(), renew);
    expect(await operator.break()).toMatchObject({ generation: 1, owner: 'holder' });
    expect(await caught(renew)).toMatchObject({ code: 'LEASE_HELD' });

    nowMs += 60_000;
    lease = await holder.acquire();
    between.length = 0;
    between.push(async () => {
      await holder.release(lease);
      await next.acquire();
    });
    expect(await caught(async () => await operator.break())).toMatchObject({ code: 'LEASE_HELD' });
    expect(await next.read()).toMatchObject({ generation: 3, owner: 'next' });
  });

  it.each([
    '',
    '{',
    '[]',
    'null',
    '{"generation":9007199254740991,"expires_at":"2026-12-01T12:00:00Z"}',
    'x'.repeat(1e5),
  ])('can be acquired a term after an operator broke what is no lease', async (text) => {
    const client = new MemoryClient();
    await client.objects.put(LEASE_KEY, Buffer.from(text));
    let nowMs = 0;
    const leaser = new Leaser(client, { now: () => nowMs });
    expect(await caught(async () => await leaser.acquire())).toMatchObject({ code: 'LEASE_HELD' });
    expect(await leaser.break()).toMatchObject({ generation: 0, owner: '' });
    expect(await caught(async () => await leaser.acquire())).toMatchObject({ code: 'LEASE_HELD' });
    nowMs += 30_001;
    expect(await leaser.acquire()).toMatchObject({ generation: 1 });
  });

  it('renews after its own renewal whose answer was lost', async () => {
    const store = new MemoryStore();
    const leaser = new Leaser(new MemoryClient({ store }), { owner: 'me' });
    const lease = await leaser.acquire();
    await leaser.renew(lease, { acknowledgedTxid: 1n });
    expect(await leaser.renew(lease, { acknowledgedTxid: 2n })).toMatchObject({ generation: 1, acknowledgedTxid: 2n });
    await leaser.release(lease, { acknowledgedTxid: 3n });
    await leaser.release(lease);
    expect(await leaser.read()).toMatchObject({ acknowledgedTxid: 3n, releasedAt: expect.any(Date) as Date });
  });

  it.each(['ignores', 'refuses'])('detects that a server %s conditions', async (how) => {
    const inner = new MemoryClient();
    const { objects } = inner;
    const client = Object.assign(Object.create(inner) as MemoryClient, {
      type: inner.type,
      capabilities: inner.capabilities,
      init: async () => await Promise.resolve(),
      objects: {
        ...objects,
        put: async (key: string, body: Uint8Array, conditions: Parameters<typeof objects.put>[2]) => {
          if (how === 'ignores' || conditions?.ifMatch === undefined) return await objects.put(key, body);
          throw new LitestreamError('what is If-Match?', { code: 'UNSUPPORTED' });
        },
      },
    });
    const leaser = new Leaser(client);
    const lease = await leaser.acquire();
    expect(await caught(async () => await leaser.probe(lease))).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('memory: this server ignores the conditions') as string,
    });
    expect(await leaser.read()).toBeUndefined();
    const honest = new Leaser(new MemoryClient());
    await honest.probe(await honest.acquire());
  });

  it('rejects as UNSUPPORTED where there are no conditions', async () => {
    const client = Object.assign(new MemoryClient(), { capabilities: { objects: true } });
    expect(await caught(async () => await new Leaser(client).acquire())).toMatchObject({ code: 'UNSUPPORTED' });
  });

  it('knows its own write again when the answer was lost', async () => {
    const store = new MemoryStore();
    const faulty = new FaultClient(new MemoryClient({ store }), { rate: 1, faults: ['after'], inRowMax: 1, seed: 1 });
    const leaser = new Leaser(guardClient(faulty, { retry: { delayMsMin: 1 } }), { owner: 'me' });
    const lease = await leaser.acquire();
    expect(lease).toMatchObject({ generation: 1, owner: 'me' });
    expect(faulty.injected.map(({ operation }) => operation)).toContain('objects.put');
    expect(lease.version).toBe(store.entries.get(LEASE_KEY)?.version);
    expect((await leaser.renew(lease)).generation).toBe(1);
  });

  it('cannot be renewed once it was released or taken over', async () => {
    let nowMs = 0;
    const store = new MemoryStore();
    const [a, b] = ['a', 'b'].map((owner) => new Leaser(new MemoryClient({ store }), { owner, now: () => nowMs }));
    const lease = await a!.acquire();
    await a!.release(lease);
    expect(await caught(async () => await a!.renew(lease))).toMatchObject({ code: 'LEASE_HELD' });
    const second = await a!.acquire();
    nowMs += 30_001;
    const taken = await b!.acquire();
    expect(taken.generation).toBe(second.generation + 1);
    expect(await caught(async () => await a!.release(second))).toMatchObject({
      code: 'LEASE_HELD',
      message: expect.stringContaining('held by b') as string,
    });
  });

  it('has one holder at any moment, over 100 seeded races with faults', async () => {
    const seeds = new Seeded();
    let acquired = 0;
    for (let round = 0; round < 100; round++) {
      const seed = seeds.below(2 ** 32);
      const store = new MemoryStore();
      const holders = await Promise.all(
        Array.from({ length: 4 }, async (_, index) => {
          const faulty = new FaultClient(new MemoryClient({ store }), {
            seed: seed + index,
            faults: ['before', 'after', 'latency'],
            latencyMsMax: 1,
          });
          const client = guardClient(faulty, { retry: { delayMsMin: 1, delayMsMax: 1, attemptCountMax: 10 } });
          // The same clock for all, so that expiries are equal and only the owner tells the holders apart.
          return await new Leaser(client, { owner: `p${index}`, now: () => 1000 }).acquire().catch(() => undefined);
        }),
      );
      const held = holders.filter((lease) => lease !== undefined);
      expect(held.length, `seed ${seed}`).toBeLessThanOrEqual(1);
      acquired += held.length;
    }
    expect(acquired).toBeGreaterThan(90);
  });
});
