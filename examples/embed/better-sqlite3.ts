/** The same on better-sqlite3: Litestream is given the program's own library. `node … FOLDER` */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { betterSqlite3, Litestream } from '@litestream/core';

const folder = process.argv[2] ?? '.';
const path = join(folder, 'app.db');
const replica = join(folder, 'replica');

const database = new Database(path);
database.pragma('journal_mode = WAL');
database.exec('CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)');

// Two copies of SQLite must not have one database open in one process.
await using litestream = new Litestream({ driver: betterSqlite3(Database) });
litestream.on('error', ({ error }) => console.error('replication:', error));
const replicated = await litestream.replicate(path, replica);

database.prepare('INSERT INTO notes (text) VALUES (?)').run('written with better-sqlite3');
await replicated.replicated();

const copy = await litestream.restore(replica, { output: join(folder, 'copy.db'), overwrite: true });
const restored = new Database(copy.output, { readonly: true });
console.log(restored.prepare('SELECT text FROM notes').all());
restored.close();
