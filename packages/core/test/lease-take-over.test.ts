/** What a successor checks after it acquired the lease, and what a former holder may still upload. */
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { TXID } from '@litestream/ltx';
import type { ReplicaClient } from '../src/storage/contract/contract.ts';
import { hasCode, LitestreamError } from '../src/util/error.ts';
import { fencedClient } from '../src/lease/fenced-client.ts';
import { LeaseHolder } from '../src/lease/holder.ts';
import { Leaser } from '../src/lease/leaser.ts';
import { takeOver } from '../src/lease/take-over.ts';
import { Litestream } from '../src/litestream/litestream.ts';
import { silentLogger } from '../src/util/logger.ts';
import { Replica } from '../src/replica/replica.ts';
import { MemoryClient, MemoryStore, Seeded } from '../src/testing/index.ts';
import { FakeClock } from './support/fake-clock.ts';
import { FakeDb } from './support/fake-db.ts';
import { encodeLtx, once } from './support/ltx-history.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';
import { until } from '../../../tests/support/wait.ts';

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'lease-take-over-'));
  onTestFinished(() => removeFolder(folder, { force: true }));
  return folder;
}

function fileOf(txid: TXID, fill: number): Buffer {
  const header = { pageSize: 512, commit: 1, minTxid: txid, maxTxid: txid, timestampMs: Number(txid) };
  return Buffer.from(encodeLtx(header, new Map([[1, Buffer.alloc(512, fill)]])));
}

function create(client: ReplicaClient, txid: TXID, fill: number): Promise<unknown> {
  const bytes = fileOf(txid, fill);
  const file = { level: 0, minTxid: txid, maxTxid: txid, timestamp: new Date(0) };
  return client.writeLtxFile(file, { size: bytes.length, open: () => once(bytes) }, { ifNoneMatch: '*' });
}

/** A replica that ends at this TXID, with the lease of an earlier holder. */
async function left(
  store: MemoryStore,
  end: TXID,
  how: { readonly acknowledgedTxid?: TXID; readonly released: boolean },
): Promise<void> {
  const client = new MemoryClient({ store });
  for (let txid = 1n; txid <= end; txid++) await create(client, txid, Number(txid));
  const leaser = new Leaser(client, { owner: 'former', ttlMs: 1000, now: () => 0 });
  const lease = await leaser.renew(await leaser.acquire(), { acknowledgedTxid: how.acknowledgedTxid });
  if (how.released) await leaser.release(lease);
}

interface Taken {
  readonly holder: LeaseHolder;
  /** Where the restore began; undefined if there was none. */
  restoredTo: TXID | undefined;
}

async function take(
  client: ReplicaClient,
  database: { readonly localTxid?: TXID; readonly exists: boolean; readonly restores?: boolean },
): Promise<Taken> {
  const clock = new FakeClock();
  const holder = new LeaseHolder(client, { owner: 'successor', clock });
  onTestFinished(() => holder.end());
  const acquiring = holder.acquire();
  for (let look = 0; look < 100 && holder.status.state !== 'held'; look++) await clock.advance(500);
  await acquiring;
  const fenced = fencedClient(client, holder);
  const taken: Taken = { holder, restoredTo: undefined };
  const restore = async (): Promise<boolean> => {
    const files = await Array.fromAsync(fenced.ltxFiles(0));
    taken.restoredTo = files.at(-1)?.maxTxid ?? 0n;
    return true;
  };
  await takeOver({
    holder,
    client: fenced,
    logger: silentLogger,
    database: {
      path: 'app.db',
      exists: () => database.exists,
      localTxid: () => database.localTxid ?? 0n,
      restore: database.restores === true ? restore : undefined,
    },
  });
  return taken;
}

describe('a file of the former holder that arrives late is restored, or refused', () => {
  /** The file arrives at the first request of the take-over, then at the second, and so on to the last. */
  test('whenever it arrives', async () => {
    const outcomes: string[] = [];
    for (let at = 0; ; at++) {
      const store = new MemoryStore();
      await left(store, 3n, { acknowledgedTxid: 3n, released: false });
      let requests = 0;
      let late: Promise<unknown> | undefined;
      const before = async (operation: string): Promise<void> => {
        // How often the lease is read is random.
        if (operation.startsWith('objects.') || operation === 'init' || requests++ !== at) return;
        late = create(new MemoryClient({ store }), 4n, 99).then(
          () => 'there',
          (error: unknown) => (hasCode(error, 'PRECONDITION_FAILED') ? 'refused' : error),
        );
        await late;
      };
      const { restoredTo, holder } = await take(new MemoryClient({ store, before }), { exists: false, restores: true });
      if (late === undefined) break;
      expect(holder.inherited).toEqual({ acknowledgedTxid: 3n, isUnclean: true });
      const outcome = await late;
      const isThere = Buffer.from(store.entries.get('ltx/0/0000000000000004-0000000000000004.ltx')?.bytes ?? []);
      expect(isThere.equals(fileOf(4n, 99)), `request ${at}`).toBe(outcome === 'there');
      // In both cases the successor has created the next name.
      expect(restoredTo).toBe(outcome === 'there' ? 5n : 4n);
      outcomes.push(String(outcome));
    }
    expect(new Set(outcomes)).toEqual(new Set(['there', 'refused']));
  });

  test('no name is claimed after a released lease', async () => {
    const store = new MemoryStore();
    await left(store, 3n, { acknowledgedTxid: 3n, released: true });
    const { restoredTo } = await take(new MemoryClient({ store }), { exists: false, restores: true });
    expect(restoredTo).toBe(3n);
    expect(store.keys('ltx/')).toHaveLength(3);
  });
});

describe('an acknowledgement is recorded in the lease before it is given', () => {
  const begun = async (
    client: ReplicaClient,
  ): Promise<{ readonly replica: Replica; readonly db: FakeDb; readonly holder: LeaseHolder }> => {
    const clock = new FakeClock();
    const holder = new LeaseHolder(client, { owner: 'first', clock });
    onTestFinished(() => holder.end());
    await holder.acquire();
    const db = new FakeDb(scratch(), 20, new Seeded(5));
    const replica = new Replica(fencedClient(client, holder), db, { clock, fence: holder });
    holder.acknowledged = () => replica.position.txid;
    return { replica, db, holder };
  };
  const recorded = async (store: MemoryStore): Promise<TXID | undefined> =>
    (await new Leaser(new MemoryClient({ store })).read())?.acknowledgedTxid;

  test('by the first holder of the lease, before its first renewal', async () => {
    const store = new MemoryStore();
    const { replica, db } = await begun(new MemoryClient({ store }));
    expect(await recorded(store)).toBeUndefined();
    db.pending = 3;
    await replica.replicated();
    // The process is killed now. A successor whose database lacks that commit is refused.
    expect(await recorded(store)).toBeGreaterThan(0n);
    const successor = take(new MemoryClient({ store }), { exists: true });
    await expect(successor).rejects.toMatchObject({ code: 'PROMOTION_REFUSED' });
  });

  test('also if the replica has everything already', async () => {
    const store = new MemoryStore();
    const { replica, db } = await begun(new MemoryClient({ store }));
    for (let txid = 1; txid <= 3; txid++) {
      db.commit();
      const bytes = db.history.files[txid - 1] ?? Buffer.alloc(0);
      const file = { level: 0, minTxid: BigInt(txid), maxTxid: BigInt(txid), timestamp: new Date(0) };
      await new MemoryClient({ store }).writeLtxFile(file, { open: () => once(bytes) });
    }
    await replica.replicated();
    expect(await recorded(store)).toBe(3n);
  });

  test('and not given if the lease cannot be written', async () => {
    const store = new MemoryStore();
    let isDown = false;
    const before = (operation: string): void => {
      if (isDown && operation === 'objects.put')
        throw new LitestreamError('away', { code: 'NETWORK', retryable: true });
    };
    const { replica, db } = await begun(new MemoryClient({ store, before }));
    isDown = true;
    db.pending = 3;
    await expect(replica.replicated()).rejects.toMatchObject({ code: 'LEASE_LOST', retryable: true });
    expect(replica.position.txid).toBe(0n);
    isDown = false;
    await replica.replicated();
    expect(replica.position.txid).toBe(3n);
    expect(await recorded(store)).toBeGreaterThan(0n);
  });
});

describe('a successor', () => {
  test('is refused without the acknowledged commits although the answer of its first write to the lease was lost', async () => {
    const store = new MemoryStore();
    await left(store, 3n, { acknowledgedTxid: 3n, released: false });
    let puts = 0;
    const before = (operation: string): void => {
      // The lease is taken; then the server is asked whether it enforces conditions.
      if (operation !== 'objects.put' || ++puts !== 2) return;
      throw new LitestreamError('slow down', { code: 'THROTTLED', retryable: true });
    };
    const client = new MemoryClient({ store, before });
    const probed = Object.assign(client, {
      capabilities: { ...client.capabilities, conditionalCreate: 'probe' as const },
    });
    await expect(take(probed, { exists: true, localTxid: 2n })).rejects.toMatchObject({ code: 'PROMOTION_REFUSED' });
    expect(puts).toBeGreaterThan(2);
  });

  const refused = async (
    end: TXID,
    acknowledgedTxid: TXID | undefined,
    database: Parameters<typeof take>[1],
  ): Promise<{ readonly error: unknown; readonly store: MemoryStore }> => {
    const store = new MemoryStore();
    await left(store, end, { ...(acknowledgedTxid === undefined ? {} : { acknowledgedTxid }), released: true });
    const client = new MemoryClient({ store });
    const error: unknown = await take(client, database).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    return { error, store };
  };

  test.each([
    ['the replica lacks what was acknowledged', 3n, 4n, { exists: false, restores: true }],
    ['its database is behind the replica', 3n, 2n, { exists: true, localTxid: 2n }],
    ['nothing is known of its database', 3n, 2n, { exists: true }],
    ['its database is missing, and is not to be restored', 3n, 2n, { exists: false }],
  ] as const)('is refused, and releases the lease, if %s', async (_, end, acknowledged, database) => {
    const { error, store } = await refused(end, acknowledged, database);
    expect(error).toMatchObject({ code: 'PROMOTION_REFUSED' });
    const lease = await new Leaser(new MemoryClient({ store })).read();
    expect(lease).toMatchObject({ owner: 'successor', acknowledgedTxid: acknowledged });
    expect(lease?.releasedAt).toBeDefined();
    expect(store.keys('ltx/')).toHaveLength(Number(end));
  });

  test.each([
    ['its database reaches as far as the replica', 3n, 2n, { exists: true, localTxid: 3n }],
    ['its database holds commits that were not sent yet', 3n, 3n, { exists: true, localTxid: 5n }],
    ['no holder ever acknowledged anything', 3n, undefined, { exists: true }],
  ] as const)('is promoted if %s', async (_, end, acknowledged, database) => {
    expect((await refused(end, acknowledged, database)).error).toBeUndefined();
  });
});

describe('a holder that finds a file of another process', () => {
  const meeting = async (
    when: 'at its first commit' | 'later',
  ): Promise<{ store: MemoryStore; clock: FakeClock; replica: Replica; db: FakeDb }> => {
    const store = new MemoryStore();
    const clock = new FakeClock();
    const client = new MemoryClient({ store });
    const holder = new LeaseHolder(client, { owner: 'holder', clock });
    onTestFinished(() => holder.end());
    await holder.acquire();
    const db = new FakeDb(scratch(), 20, new Seeded(5));
    const replica = new Replica(fencedClient(client, holder), db, { clock, fence: holder });
    holder.acknowledged = () => replica.position.txid;
    db.pending = 2;
    // Two of its commits are on the replica, from before it had the lease, or since.
    if (when === 'at its first commit') await new Replica(new MemoryClient({ store }), db, { clock }).replicated();
    await replica.replicated();
    await create(new MemoryClient({ store }), 3n, 99);
    db.pending = 1;
    return { store, clock, replica, db };
  };

  test('continues after the file at once, if it still holds the lease and this is its first commit', async () => {
    const { replica } = await meeting('at its first commit');
    await expect(replica.replicated()).rejects.toMatchObject({ code: 'REPLICA_CONFLICT' });
    await replica.replicated();
    expect(replica.position.txid).toBe(4n);
  });

  test('stops permanently if the file follows its own: it is not late, regardless of the lease', async () => {
    const { store, clock, replica } = await meeting('later');
    const before = store.keys('ltx/');
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(replica.replicated()).rejects.toMatchObject({
        code: 'LEASE_LOST',
        retryable: false,
        message: expect.stringContaining('another process writes to this replica') as string,
      });
      await clock.advance(120_000);
    }
    expect(store.keys('ltx/')).toEqual(before);
  });

  test('stops permanently, if another process has the lease', async () => {
    const { store, clock, replica } = await meeting('at its first commit');
    const before = store.keys('ltx/');
    await new Leaser(new MemoryClient({ store }), { owner: 'thief' }).break();
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(replica.replicated()).rejects.toMatchObject({ code: 'LEASE_LOST', retryable: false });
      await clock.advance(120_000);
    }
    expect(replica.isDown).toBe(true);
    expect(store.keys('ltx/')).toEqual(before);
  });

  test('is refused if the replica has another timeline with acknowledged commits of an earlier holder', async () => {
    const store = new MemoryStore();
    await left(store, 3n, { acknowledgedTxid: 2n, released: true });
    const clock = new FakeClock();
    const client = new MemoryClient({ store });
    const holder = new LeaseHolder(client, { owner: 'holder', clock });
    onTestFinished(() => holder.end());
    await holder.acquire();
    const db = new FakeDb(scratch(), 20, new Seeded(5));
    const replica = new Replica(fencedClient(client, holder), db, { clock, fence: holder });
    for (let txid = 0; txid < 5; txid++) db.commit();
    await expect(replica.meet()).rejects.toMatchObject({ code: 'PROMOTION_REFUSED' });
    await expect(replica.replicated()).rejects.toMatchObject({
      code: expect.stringMatching(/LEASE|PROMOTION/) as string,
    });
    expect(store.keys('ltx/')).toHaveLength(3);
  });
});

test('in an application: the successor waits, restores, and continues; its events report the lease', async () => {
  const folder = scratch();
  const store = new MemoryStore();
  const [one, two] = [join(folder, 'one.db'), join(folder, 'two.db')];
  const app = new DatabaseSync(one);
  app.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)');
  const former = new Litestream();
  // Both are in this process. If it is slow for a term, the successor need not wait for the release.
  const lease = { ttlMs: 600_000, owner: 'one' };
  const first = await former.replicate(one, new MemoryClient({ store }), { lease });
  await first.replicated();
  expect(first.lease).toMatchObject({ state: 'held', owner: 'one', lease: { generation: 1 } });

  const successor = new Litestream();
  const states: string[] = [];
  successor.on('lease', ({ path, state }) => states.push(`${path === two ? 'two' : path} ${state}`));
  // Short, because only a renewal finds that the lease was broken.
  const options = { lease: { ttlMs: 5000, owner: 'two' }, restoreIfMissing: true };
  const waiting = successor.replicate(two, new MemoryClient({ store }), options);
  app.exec('INSERT INTO t VALUES (2)');
  await first.replicated();
  expect(existsSync(two)).toBe(false);
  app.close();
  await former.stop();
  expect(first.lease).toMatchObject({ state: 'released' });
  const second = await waiting;
  const next = new DatabaseSync(two);
  next.exec('INSERT INTO t VALUES (3)');
  await until('the successor replicates', () =>
    second.replicated().then(
      () => true,
      (error: unknown) => {
        // A lease that lapsed is renewed.
        if (hasCode(error, 'LEASE_LOST') && error.retryable) return false;
        throw error;
      },
    ),
  );
  expect(states.slice(-1)).toEqual(['two held']);
  const leaser = new Leaser(new MemoryClient({ store }));
  expect(await leaser.read()).toMatchObject({ generation: 2, owner: 'two' });

  // The operator breaks the lease. Its holder writes until it next renews, so the commit comes after that.
  await leaser.break();
  await until('the lease is lost', () => states.includes('two lost'));
  next.exec('INSERT INTO t VALUES (4)');
  await expect(second.replicated()).rejects.toMatchObject({ code: 'LEASE_LOST' });
  next.close();
  await expect(successor.stop()).rejects.toMatchObject({ code: 'LEASE_LOST' });
  const output = join(folder, 'out.db');
  await new Litestream().restore(new MemoryClient({ store }), { output });
  const rows = new DatabaseSync(output, { readOnly: true }).prepare('SELECT x FROM t').all();
  expect(rows.map(({ x }) => x)).toEqual([1, 2, 3]);
});
