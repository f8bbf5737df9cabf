/** An application on node:sqlite that replicates its own database: `node examples/embed/node-sqlite.ts FOLDER`. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Litestream } from '@litestream/core';

const folder = process.argv[2] ?? '.';
const path = join(folder, 'app.db');
const replica = join(folder, 'replica');

const database = new DatabaseSync(path);
database.exec('PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)');

await using litestream = new Litestream();
litestream.on('error', ({ error }) => console.error('replication:', error));
const replicated = await litestream.replicate(path, replica);

database.prepare('INSERT INTO notes (text) VALUES (?)').run('written with node:sqlite');
// From here on the note survives the loss of this machine: now it may be acknowledged.
await replicated.replicated();

const copy = await litestream.restore(replica, { output: join(folder, 'copy.db'), overwrite: true });
const restored = new DatabaseSync(copy.output, { readOnly: true });
console.log(restored.prepare('SELECT text FROM notes').all());
restored.close();
