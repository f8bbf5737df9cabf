/** A live database with its replica in memory, to be followed. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { onTestFinished } from 'vitest';
import type { ReplicatedDatabase } from '../../src/litestream/replicated-database.ts';
import { Litestream } from '../../src/litestream/litestream.ts';
import type { ReplicateOptions } from '../../src/litestream/litestream-options.ts';
import type { ReplicaClient } from '../../src/storage/contract/contract.ts';
import { Follower } from '../../src/follower/follower.ts';
import type { FollowOptions, FollowUpdate } from '../../src/follower/follower.ts';
import { MemoryClient } from '../../src/testing/index.ts';
import { SHORT_QUIET_MS } from '../helpers/db-lab.ts';

export interface Source {
  readonly app: DatabaseSync;
  readonly client: MemoryClient;
  readonly database: ReplicatedDatabase;
  /** Runs SQL as one transaction, and uploads it as one file. */
  commit(sql: string): Promise<void>;
}

/** What one connection sees: rows of `t`, a sum over all bytes, and that the database is sound. */
export function contentOf(database: DatabaseSync): string {
  const row = database.prepare('SELECT count(*) AS n, coalesce(sum(id * length(x)), 0) AS sum FROM t').get();
  const check = database.prepare('PRAGMA integrity_check').get();
  return JSON.stringify({ ...row, ...check });
}

export async function replicatedSource(
  folder: string,
  options: { pageSize?: number; replicate?: ReplicateOptions; client?: MemoryClient } = {},
): Promise<Source> {
  const path = join(folder, 'app.db');
  const app = new DatabaseSync(path);
  app.exec(`PRAGMA page_size = ${options.pageSize ?? 4096}; PRAGMA journal_mode = wal`);
  app.exec('CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x BLOB)');
  const client = options.client ?? new MemoryClient();
  const litestream = new Litestream({ store: false });
  const database = await litestream.replicate(path, client, {
    monitorIntervalMs: 0,
    arrivalQuietMs: SHORT_QUIET_MS,
    ...options.replicate,
  });
  onTestFinished(async () => {
    await litestream.stop();
    app.close();
  });
  await database.replicated();
  return {
    app,
    client,
    database,
    async commit(sql) {
      app.exec(`BEGIN; ${sql}; COMMIT`);
      await database.replicated();
    },
  };
}

export interface Following {
  readonly follower: Follower;
  readonly updates: FollowUpdate[];
}

/** A copy that has been brought up to date once; it is let go of when the test ends. */
export async function followed(client: ReplicaClient, options: FollowOptions): Promise<Following> {
  const updates: FollowUpdate[] = [];
  const follower = await Follower.open(client, { onUpdate: (update) => updates.push(update), ...options });
  onTestFinished(() => follower.close());
  await follower.poll();
  return { follower, updates };
}
