/** With Drizzle, on better-sqlite3. `node … FOLDER` */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { betterSqlite3, Litestream } from '@litestream/core';

const notes = sqliteTable('notes', {
  id: integer('id').primaryKey(),
  text: text('text').notNull(),
});

const folder = process.argv[2] ?? '.';
const path = join(folder, 'app.db');
const replica = join(folder, 'replica');

const sqlite = new Database(path);
sqlite.pragma('journal_mode = WAL');
sqlite.exec('CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)');
const database = drizzle(sqlite);

await using litestream = new Litestream({ driver: betterSqlite3(Database) });
litestream.on('error', ({ error }) => console.error('replication:', error));
const replicated = await litestream.replicate(path, replica);

database.insert(notes).values({ text: 'written with Drizzle' }).run();
await replicated.replicated();

const copy = await litestream.restore(replica, { output: join(folder, 'copy.db'), overwrite: true });
const restored = new Database(copy.output, { readonly: true });
console.log(drizzle(restored).select({ text: notes.text }).from(notes).all());
restored.close();
