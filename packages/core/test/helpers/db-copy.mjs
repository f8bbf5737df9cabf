// Copies a database with its WAL and checkpoints the copy: `node db-copy.mjs FROM TO`. Nobody may write meanwhile.
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

const [from, to] = process.argv.slice(2);
for (const suffix of ['', '-wal', '-shm']) rmSync(to + suffix, { force: true });
copyFileSync(from, to);
if (existsSync(`${from}-wal`)) copyFileSync(`${from}-wal`, `${to}-wal`);
const db = new DatabaseSync(to);
const row = db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get();
if (row.busy !== 0) throw new Error('the copy is busy');
db.close();
