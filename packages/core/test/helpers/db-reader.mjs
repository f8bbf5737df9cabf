/** Keeps a read transaction open, in any journal mode, until it is killed. */
import { DatabaseSync } from 'node:sqlite';

const database = new DatabaseSync(process.argv[2]);
database.exec('BEGIN');
database.prepare('SELECT * FROM t').all();
console.log('ready');
setInterval(() => {}, 1000);
