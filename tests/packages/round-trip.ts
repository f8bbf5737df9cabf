/** The proof that everything here comes down to: what was committed comes back, through the commands a user types. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Child } from '../support/child.ts';
import { until } from '../support/wait.ts';

export interface Route {
  /** Where `app.db` and the copy lie. */
  readonly folder: string;
  readonly litestream: (...args: string[]) => Promise<unknown>;
  /** Says what to replicate: `-config FILE`, or a database and a URL. */
  readonly from: readonly string[];
  /** Says what to restore. */
  readonly to: readonly string[];
}

/** Replicates twice, restores, and compares every row. The database is `app.db` in the folder, made anew. */
export async function roundTrip({ folder, litestream, from, to }: Route): Promise<void> {
  const copy = join(folder, 'copy.db');
  using app = makeDatabase(folder);
  await litestream('replicate', '-once', ...from);
  app.exec("INSERT INTO orders VALUES ('second')");
  await litestream('replicate', '-once', ...from);
  await litestream('restore', '-integrity-check', 'full', '-o', copy, ...to);
  assertSame(app, copy);
}

export function makeDatabase(folder: string): DatabaseSync {
  const app = new DatabaseSync(join(folder, 'app.db'));
  app.exec('PRAGMA journal_mode = WAL; CREATE TABLE orders (x); INSERT INTO orders VALUES (randomblob(100000))');
  return app;
}

export function assertSame(app: DatabaseSync, copy: string): void {
  using restored = new DatabaseSync(copy);
  const sql = 'SELECT hex(x) AS x FROM orders ORDER BY rowid';
  assert.deepEqual(restored.prepare(sql).all(), app.prepare(sql).all());
}

/** Lets a daemon run until it replicates, commits once more beside it, and stops it as a service manager does. */
export async function whileItRuns(daemon: Child, app: DatabaseSync): Promise<void> {
  const failed = (): string | undefined => (daemon.exit === undefined ? undefined : daemon.output);
  await until(`${daemon.name} to replicate`, () => daemon.output.includes('replicating to'), { failed });
  app.exec("INSERT INTO orders VALUES ('while it ran')");
  await daemon.stop();
}
