/** With Kysely, on better-sqlite3: each request is acknowledged once its write is on the replica. `node … FOLDER` */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import type { Generated } from 'kysely';
import { betterSqlite3, Litestream } from '@litestream/core';

interface Tables {
  readonly notes: { readonly id: Generated<number>; readonly text: string };
}

const folder = process.argv[2] ?? '.';
const path = join(folder, 'app.db');
const replica = join(folder, 'replica');

const sqlite = new Database(path);
sqlite.pragma('journal_mode = WAL');
const database = new Kysely<Tables>({ dialect: new SqliteDialect({ database: sqlite }) });
await database.schema
  .createTable('notes')
  .ifNotExists()
  .addColumn('id', 'integer', (column) => column.primaryKey())
  .addColumn('text', 'text', (column) => column.notNull())
  .execute();

await using litestream = new Litestream({ driver: betterSqlite3(Database) });
litestream.on('error', ({ error }) => console.error('replication:', error));
const replicated = await litestream.replicate(path, replica);

await addNote('written with Kysely');

const copy = await litestream.restore(replica, { output: join(folder, 'copy.db'), overwrite: true });
const restored = new Kysely<Tables>({
  dialect: new SqliteDialect({ database: new Database(copy.output, { readonly: true }) }),
});
console.log(await restored.selectFrom('notes').select('text').execute());
await restored.destroy();

/** Resolves when the note is in the database and on the replica. */
async function addNote(text: string): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    await transaction.insertInto('notes').values({ text }).execute();
  });
  await replicated.replicated();
}
