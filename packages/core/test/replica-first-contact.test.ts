/** A replica that did not answer when the database was opened: what it turns out to hold, and what becomes of it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { TXID } from '@litestream/ltx';
import { LitestreamError } from '../src/error.ts';
import { Replica } from '../src/replica/replica.ts';
import { restore } from '../src/restore/restore.ts';
import { MemoryClient, Seeded } from '../src/testing/index.ts';
import { FakeClock } from './support/fake-clock.ts';
import { FakeDb } from './support/fake-db.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

// Restores start workers, and a machine that is busy with other things is slow.

const root = temporaryFolder('first-contact');
let count = 0;

interface Lab {
  readonly folder: string;
  readonly client: MemoryClient;
  /** Calls that wrote, by object. */
  readonly writes: string[];
  down: boolean;
}

function lab(): Lab {
  const folder = join(root, String(count++));
  const writes: string[] = [];
  const client = new MemoryClient({
    before: (operation, object) => {
      if (at.down) throw new LitestreamError('down', { code: 'NETWORK', retryable: true });
      if (operation === 'writeLtxFile') writes.push(object.replaceAll(/0{8,}/g, ''));
    },
  });
  const at: Lab = { folder, client, writes, down: false };
  return at;
}

/** A database with a history of its own: its pages differ from those of any other seed. */
function database({ folder }: Lab, name: string, seed: number, commits: number): FakeDb {
  const db = new FakeDb(join(folder, name), 60, new Seeded(seed));
  for (let txid = 0; txid < commits; txid++) db.commit();
  return db;
}

async function restored(at: Lab, txid?: TXID): Promise<Buffer> {
  const output = join(at.folder, `out-${count++}.db`);
  await restore(at.client, { output, ...(txid === undefined ? {} : { txid }) });
  return readFileSync(output);
}

const stateOf = (db: FakeDb, txid: number): Buffer => Buffer.from(db.history.states[txid - 1] ?? []);

describe('a replica that answers only later', () => {
  test('holds nothing new: uploads go on where it ends', async () => {
    const at = lab();
    const db = database(at, 'db', 1, 5);
    await new Replica(at.client, db).sync();
    at.writes.length = 0;

    db.baseline = 5n;
    const replica = new Replica(at.client, db);
    db.commit();
    await replica.sync();
    expect(at.writes).toEqual(['ltx/0/6-6.ltx']);
    expect(replica.isKnown).toBe(true);
    expect((await restored(at)).equals(stateOf(db, 6))).toBe(true);
  });

  test.each([
    ['less than the database has now', 8, 12],
    ['as much as the database has now', 8, 8],
  ])('holds another history, %s: it gets a snapshot and goes on from it', async (_, theirs, ours) => {
    const at = lab();
    const before = database(at, 'before', 1, theirs);
    await new Replica(at.client, before).sync();

    // Lost with its local files, and begun anew while the replica was away.
    const db = database(at, 'after', 2, ours);
    db.baseline = 0n;
    const replica = new Replica(at.client, db);
    await replica.sync();
    expect((await restored(at)).equals(stateOf(db, ours))).toBe(true);
    for (let more = 0; more < 3; more++) db.commit();
    await replica.sync();
    expect(replica.position).toEqual({ txid: BigInt(ours + 3) });
    expect((await restored(at)).equals(stateOf(db, ours + 3))).toBe(true);
    expect((await restored(at, BigInt(ours + 1))).equals(stateOf(db, ours + 1))).toBe(true);
    // What the replica had is still there, and nothing was appended to it.
    if (theirs < ours) {
      expect((await restored(at, BigInt(theirs))).equals(stateOf(before, theirs))).toBe(true);
      for (let txid = theirs + 1; txid < ours; txid++) {
        await expect(restored(at, BigInt(txid))).rejects.toMatchObject({ code: expect.stringMatching(/TXID|GAP/) });
      }
    }
  });

  test('holds more than the database: nothing is written, and it is not known', async () => {
    const at = lab();
    await new Replica(at.client, database(at, 'before', 1, 20)).sync();
    at.writes.length = 0;
    const db = database(at, 'after', 2, 5);
    db.baseline = 0n;
    const replica = new Replica(at.client, db);
    await expect(replica.sync()).rejects.toMatchObject({ code: 'REPLICA_AHEAD' });
    expect(at.writes).toEqual([]);
    expect(replica.isKnown).toBe(false);
    // The database went on above it, as it does when it is opened anew.
    db.baseline = 20n;
    db.position = { txid: 20n };
    await replica.sync();
    expect(replica.isKnown).toBe(true);
  });

  test.each([1, 2, 3])('a crash after write %i never leaves a history that is two in one', async (writeCount) => {
    const at = lab();
    const before = database(at, 'before', 1, 8);
    await new Replica(at.client, before).sync();
    at.writes.length = 0;
    const db = database(at, 'after', 2, 12);
    db.baseline = 0n;
    const dying = new MemoryClient({
      store: at.client.store,
      before: (operation) => {
        if (operation === 'writeLtxFile' && at.writes.push('') > writeCount) throw new Error('killed');
      },
    });
    await new Replica(dying, db).sync().catch(() => undefined);

    // The next process asks first, and finds what the first one sent.
    db.baseline = 12n;
    const next = new Replica(at.client, db);
    for (let more = 0; more < 2; more++) db.commit();
    await next.sync();
    for (let txid = 1; txid <= 14; txid++) {
      const bytes = await restored(at, BigInt(txid)).catch(() => undefined);
      if (bytes === undefined) continue;
      const states = [before, db].map((each) => stateOf(each, txid));
      expect(
        states.some((state) => state.equals(bytes)),
        `txid ${txid}`,
      ).toBe(true);
    }
  });

  test('is asked again and again while it is down, at the pace of a failing replica', async () => {
    const at = lab();
    const clock = new FakeClock();
    const db = database(at, 'db', 1, 3);
    db.baseline = 3n;
    at.down = true;
    const replica = new Replica(at.client, db, { clock });
    replica.start();
    await clock.advance(60_000);
    expect(replica.isKnown).toBe(false);
    at.down = false;
    await clock.advance(120_000);
    expect(replica.position).toEqual({ txid: 3n });
    await replica.stop({ finalSync: false });
  });
});
