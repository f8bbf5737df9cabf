/** A database that is replaced while it is replicated, and a replica that does not answer at that moment. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { DB } from '../src/db/db.ts';
import type { History } from '../src/db/session/options.ts';
import { Replica } from '../src/replica/replica.ts';
import { restore } from '../src/restore/restore.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { temporaryFolder } from './support/temporary-folder.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const root = temporaryFolder('reopened');
let count = 0;

const rowsOf = (database: DatabaseSync): unknown =>
  database.prepare('SELECT group_concat(x) AS rows FROM t').get()?.['rows'];

class Lab {
  readonly folder = join(root, String(count++));
  readonly client = new MemoryClient();
  readonly db: DB;
  readonly replica: Replica;
  /** As with several replicas: one that does not answer counts as empty. */
  isDown = false;
  #app: DatabaseSync | undefined;

  constructor() {
    mkdirSync(this.folder);
    this.db = new DB(join(this.folder, 'app.db'), { monitorIntervalMs: 0 });
    this.replica = new Replica(this.client, this.db);
  }

  get history(): History {
    return {
      maxTxid: async (op) => (this.isDown ? 0n : await this.replica.maxTxid(op)),
      openLevel0: async (txid, op) => (this.isDown ? undefined : await this.replica.openLevel0(txid, op)),
    };
  }

  get app(): DatabaseSync {
    return (this.#app ??= this.create());
  }

  create(): DatabaseSync {
    const app = new DatabaseSync(this.db.path);
    app.exec('PRAGMA journal_mode = wal');
    return app;
  }

  /** The first makes the table. Each is one transaction, taken as one. */
  async commit(...rows: readonly string[]): Promise<void> {
    for (const row of rows) {
      this.app.exec(`BEGIN; CREATE TABLE IF NOT EXISTS t (x TEXT); INSERT INTO t VALUES ('${row}'); COMMIT`);
      await this.db.sync();
    }
  }

  /** `rm -rf data/*` */
  remove(): void {
    this.#app?.close();
    this.#app = undefined;
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${this.db.path}${suffix}`, { force: true });
    removeFolder(this.db.metaPath, { force: true });
  }

  async restored(): Promise<unknown> {
    const output = join(this.folder, `out-${count++}.db`);
    await restore(this.client, { output });
    using database = new DatabaseSync(output);
    return rowsOf(database);
  }

  async close(): Promise<void> {
    this.#app?.close();
    await this.db.close();
  }
}

async function replacedLab(commits: number): Promise<Lab> {
  const lab = new Lab();
  onTestFinished(() => lab.close());
  await lab.db.open({ history: lab.history });
  await lab.commit('old 1', 'old 2', 'old 3');
  await lab.replica.replicated();
  lab.isDown = true;
  lab.remove();
  // A later row is of another size: what is torn does not look whole by chance.
  for (let row = 1; row <= commits; row++) await lab.commit(`new ${row}`.padEnd(row * 900, '.'));
  return lab;
}

test.each([5, 4, 3])(
  'a database recreated while its replica was away is replicated whole, after %i commits',
  async (commits) => {
    const lab = await replacedLab(commits);
    expect(lab.db.position).toEqual({ txid: BigInt(commits) });
    expect(lab.replica.isKnown).toBe(false);
    expect(lab.replica.position).toEqual({ txid: 0n });
    lab.isDown = false;
    await lab.replica.replicated();
    expect(await lab.restored()).toBe(rowsOf(lab.app));
    expect(lab.replica.isKnown).toBe(true);
    await lab.commit('more');
    await lab.replica.replicated();
    expect(await lab.restored()).toBe(rowsOf(lab.app));
  },
);

test('one that is shorter than its replica is reported, and continues above it once it is reopened', async () => {
  const lab = await replacedLab(2);
  lab.isDown = false;
  await expect(lab.replica.replicated()).rejects.toMatchObject({ code: 'REPLICA_AHEAD' });
  // What the command line opens the database anew for.
  expect(lab.replica.isKnown).toBe(false);
  await lab.db.close();
  await lab.db.open({ history: lab.history });
  await lab.replica.replicated();
  expect(await lab.restored()).toBe(rowsOf(lab.app));
});
