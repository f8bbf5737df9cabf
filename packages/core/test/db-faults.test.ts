/**
 * Every call of the file system between a commit and its arrival on the replica fails once, in turn: the failure reaches
 * the caller, nothing is taken for done that is not, and when the fault is gone nothing is missing.
 */
import { callsSeen, faultsOf, watchCalls } from './helpers/faulty-fs.ts';
import type { Errno } from './helpers/faulty-fs.ts';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DB, SqliteConnection } from '../src/index.ts';
import { FileClient, Replica, guardClient, isLitestreamError, restore } from '../src/index.ts';
import { Lab, compare, drivers } from './helpers/db-lab.ts';

const ERRNOS: readonly Errno[] = ['EIO', 'ENOSPC', 'EDQUOT', 'EMFILE'];

interface Rig extends AsyncDisposable {
  readonly lab: Lab;
  readonly app: SqliteConnection;
  readonly db: DB;
  readonly replica: Replica;
  commit(): void;
  /** Throws unless the replica, and the local files, make the database that SQLite has. */
  verify(): Promise<void>;
}

async function rig(lab: Lab): Promise<Rig> {
  const app = lab.app(['CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)']);
  const db = lab.db();
  const client = guardClient(new FileClient({ path: join(lab.folder, 'replica') }));
  const replica = new Replica(client, db, { logger: lab.logger });
  await db.open({ history: replica });
  await replica.replicated();
  let restores = 0;
  return {
    lab,
    app,
    db,
    replica,
    commit: () => app.exec('INSERT INTO t (b) VALUES (randomblob(9000))'),
    async verify() {
      await lab.verify();
      const output = join(lab.folder, `restored-${restores++}.db`);
      await restore(client, { output });
      compare(readFileSync(output), lab.source());
    },
    [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose](),
  };
}

/** Names of files that were begun and left. */
const leftovers = (folder: string): string[] =>
  (readdirSync(folder, { recursive: true }) as string[]).filter((name) => /\.tmp/.test(name));

describe.each(drivers.map((driver) => ({ name: driver.name, driver })))('faults, $name', ({ driver }) => {
  it('each call that fails is heard of, and costs nothing but the attempt', async () => {
    await using at = await rig(new Lab(driver));
    at.commit();
    watchCalls();
    await at.replica.replicated();
    const { calls } = callsSeen();
    const failed: string[] = [];
    for (const [round, fault] of faultsOf(calls, ERRNOS).entries()) {
      const before = at.db.position.txid;
      at.commit();
      watchCalls(fault);
      const [result] = await Promise.allSettled([at.replica.replicated()]);
      const seen = callsSeen();
      if (seen.failed === undefined) continue; // A call fewer than before.
      failed.push(seen.failed);
      if (result?.status === 'rejected') {
        expect(isLitestreamError(result.reason), String(result.reason)).toBe(true);
        // Acknowledged is only what is there: the replica never says more than the database has in its files.
        expect(at.replica.position.txid).toBeLessThanOrEqual(at.db.position.txid);
        expect(at.db.position.txid - before).toBeLessThanOrEqual(1n);
        await at.replica.replicated();
      } else {
        // It got over it unasked: what goes to the replica is tried again. Then everything must be there.
        expect(fault.name).toMatch(/^(open|rename|mkdir|link|handle\.)/);
        await at.verify();
      }
      expect(at.replica.position.txid).toBe(at.db.position.txid);
      expect(leftovers(at.lab.folder)).toEqual([]);
      if (round % 8 === 0) await at.verify();
    }
    await at.verify();
    // The test reached both halves of the way: local files and the replica's.
    expect(failed.some((call) => call.startsWith('linkSync'))).toBe(true);
    expect(failed.some((call) => call.startsWith('link '))).toBe(true);
    expect(failed.filter((call) => /^(f|handle\.)sync/.test(call))).toHaveLength(4);
    // A fault is no reason to write the database anew.
    expect(at.lab.snapshots()).toEqual(['first sync']);
  });

  it('a file is durable before it has its name, and its name before anybody relies on it', async () => {
    await using at = await rig(new Lab(driver));
    at.commit();
    watchCalls();
    await at.db.sync();
    const { calls } = callsSeen();
    const order = calls.flatMap((call) => /^(?:writeSync|fsync|linkSync|fsyncSync)/.exec(call)?.[0] ?? []);
    const words = order
      .join(' ')
      .replaceAll(/(writeSync )+/g, 'write ')
      .replaceAll('fsyncSync', 'fsync');
    expect(words).toBe('write fsync linkSync fsync');
    watchCalls();
    await at.replica.sync();
    const uploaded = callsSeen().calls.map((call) => call.split(' ')[0] ?? '');
    const sync = uploaded.findIndex((call) => /^handle\.(data)?sync$/.test(call));
    const link = uploaded.indexOf('link');
    expect(sync).toBeGreaterThan(0);
    expect(link).toBeGreaterThan(sync);
    // The folder, after the file has its name in it.
    expect(uploaded.slice(link).some((call) => /^(handle\.(data)?sync|f(data)?sync(Sync)?)$/.test(call))).toBe(true);
  });

  it('a restore that meets a fault leaves nothing where the database should be', async () => {
    await using at = await rig(new Lab(driver));
    for (let i = 0; i < 3; i++) {
      at.commit();
      await at.replica.replicated();
    }
    const output = join(at.lab.folder, 'copy.db.restored');
    watchCalls();
    await restore(at.replica.client, { output });
    const { calls } = callsSeen();
    rmSync(output);
    const source = at.lab.source();
    for (const fault of faultsOf(calls, ERRNOS)) {
      watchCalls(fault);
      const [result] = await Promise.allSettled([restore(at.replica.client, { output })]);
      const { calls: made, failed } = callsSeen();
      // Reads are tried again; and at the very last, when the folder could not be made durable, all is in its place.
      const isPublished = made.some((call) => call.startsWith('rename ') && !call.endsWith('!'));
      if (result?.status === 'fulfilled' || isPublished) {
        compare(readFileSync(output), source);
        rmSync(output);
      }
      if (result?.status === 'rejected') {
        expect(isLitestreamError(result.reason), `${failed}: ${String(result.reason)}`).toBe(true);
      }
      expect(
        readdirSync(at.lab.folder).filter((name) => name.startsWith('copy.db.')),
        failed,
      ).toEqual([]);
    }
  });
});
