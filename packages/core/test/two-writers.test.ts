/** Two instances of one application on one replica, as a rolling deploy has them for some seconds. */
import { createRequire } from 'node:module';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import type { TXID } from '@litestream/ltx';
import { FileClient } from '../src/storage/file/file-client.ts';
import type { ReplicaClient } from '../src/storage/contract/contract.ts';
import { betterSqlite3 } from '../src/sqlite/driver/better-sqlite3.ts';
import type { BetterSqlite3 } from '../src/sqlite/driver/better-sqlite3.ts';
import type { SqliteDriver } from '../src/sqlite/driver/sqlite-driver.ts';
import type { ReplicatedDatabase } from '../src/litestream/replicated-database.ts';
import { Litestream } from '../src/litestream/litestream.ts';
import type { Logger } from '../src/util/logger.ts';
import { restore } from '../src/restore/restore.ts';
import { MemoryClient, MemoryStore } from '../src/testing/index.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const Database = createRequire(import.meta.url)('better-sqlite3') as BetterSqlite3;
const root = temporaryFolder('two-writers');
let count = 0;

interface App {
  exec(sql: string): unknown;
  close(): unknown;
}

interface Library {
  readonly open: (path: string) => App;
  readonly driver: SqliteDriver | undefined;
}

const libraries: readonly (readonly [string, Library])[] = [
  ['node:sqlite', { open: (path) => new DatabaseSync(path), driver: undefined }],
  [
    'better-sqlite3',
    { open: (path) => new (Database as unknown as new (path: string) => App)(path), driver: betterSqlite3(Database) },
  ],
];

const places: readonly (readonly [string, () => () => ReplicaClient])[] = [
  [
    'memory',
    () => {
      const store = new MemoryStore();
      return () => new MemoryClient({ store });
    },
  ],
  [
    'file',
    () => {
      const path = join(root, `replica-${count++}`);
      return () => new FileClient({ path });
    },
  ],
];

/** Rows of a restored database, each with what it was made of. */
function rowsOf(path: string): unknown {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    return database
      .prepare('SELECT id, x FROM t ORDER BY id')
      .all()
      .map(({ id, x }) => ({ id, x }));
  } finally {
    database.close();
  }
}

class Instance {
  readonly conflicts: string[] = [];
  readonly rows: { id: number; x: string }[];
  /** What was acknowledged: the transaction, and the rows of then. */
  readonly acknowledged: { readonly txid: TXID; readonly rows: unknown }[] = [];
  readonly refused: unknown[] = [];
  readonly app: App;
  readonly litestream: Litestream;
  readonly #name: string;
  #database: ReplicatedDatabase | undefined;

  constructor(name: string, path: string, library: Library, rows: readonly { id: number; x: string }[]) {
    this.#name = name;
    this.rows = [...rows];
    this.app = library.open(path);
    this.app.exec('PRAGMA journal_mode = wal');
    const quiet = (): void => undefined;
    const loud = (message: string): void => {
      if (message.startsWith('another process writes')) this.conflicts.push(message);
    };
    const logger: Logger = { trace: quiet, debug: quiet, info: quiet, warn: loud, error: loud, child: () => logger };
    this.litestream = new Litestream({ logger, ...(library.driver === undefined ? {} : { driver: library.driver }) });
  }

  async replicate(path: string, client: ReplicaClient): Promise<void> {
    this.#database = await this.litestream.replicate(path, client);
  }

  async commit(): Promise<void> {
    const row = { id: this.rows.length + 1, x: `${this.#name} ${this.rows.length}` };
    this.app.exec(`INSERT INTO t VALUES (${row.id}, '${row.x}')`);
    this.rows.push(row);
    try {
      await this.#database?.replicated();
      this.acknowledged.push({ txid: this.#database?.position.txid ?? 0n, rows: structuredClone(this.rows) });
    } catch (error) {
      this.refused.push(error);
    }
  }

  async end(): Promise<void> {
    await this.litestream.stop({ finalSync: false }).catch(() => undefined);
    this.app.close();
  }
}

describe.each(libraries)('on %s', (_, library) => {
  test.each(places)('what is acknowledged restores, and one of the two stops: %s', async (_name, place) => {
    const open = place();
    const folder = join(root, String(count++));
    mkdirSync(join(folder, 'new'), { recursive: true });
    const oldPath = join(folder, 'app.db');
    const old = new Instance('old', oldPath, library, []);
    old.app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)');
    await old.replicate(oldPath, open());
    for (let row = 0; row < 5; row++) await old.commit();
    expect(old.refused).toEqual([]);

    // The new one comes up as it always does, while the old one still serves its clients.
    const newPath = join(folder, 'new', 'app.db');
    await restore(open(), { output: newPath });
    const fresh = new Instance('new', newPath, library, old.rows);
    await fresh.replicate(newPath, open());
    for (let round = 0; round < 8; round++) await Promise.all([old.commit(), fresh.commit()]);

    const [winner, loser] = old.refused.length > fresh.refused.length ? [fresh, old] : [old, fresh];
    expect(loser.refused.length).toBeGreaterThan(0);
    expect(loser.refused.at(-1)).toMatchObject({ code: 'REPLICA_CONFLICT' });
    expect(loser.conflicts).toHaveLength(1);
    expect(winner.conflicts).toEqual([]);
    // Once one has stopped it stays so, and the other one is not disturbed.
    const before = winner.refused.length;
    for (let round = 0; round < 4; round++) await Promise.all([loser.commit(), winner.commit()]);
    expect(winner.refused.length).toBe(before);
    expect(loser.conflicts).toHaveLength(1);

    for (const { txid, rows } of [...old.acknowledged, ...fresh.acknowledged]) {
      const output = join(folder, `out-${count++}.db`);
      await restore(open(), { output, txid });
      expect(rowsOf(output), `txid ${txid}`).toEqual(rows);
    }
    const output = join(folder, 'latest.db');
    await restore(open(), { output });
    expect(rowsOf(output)).toEqual(winner.rows);
    await Promise.all([old.end(), fresh.end()]);
  });
});
