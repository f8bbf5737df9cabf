// Writes a hash chain at full speed until killed: `node db-writer.mjs DATABASE OPTIONS`.
// Says `ready` after the first commit, and takes a line on stdin as a sign to stop after the transaction under way.
import { createHash, randomBytes } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';

const [path, json = '{}'] = process.argv.slice(2);
const { rowsPerCommit = 10, payloadSize = 200, pauseMs = 0, autocheckpoint = 1000 } = JSON.parse(json);
const db = new DatabaseSync(path, { timeout: 20_000 });
db.exec(`PRAGMA journal_mode = wal; PRAGMA synchronous = normal; PRAGMA wal_autocheckpoint = ${autocheckpoint}`);
db.exec('CREATE TABLE IF NOT EXISTS chain (id INTEGER PRIMARY KEY, payload BLOB, hash TEXT)');
const insert = db.prepare('INSERT INTO chain (id, payload, hash) VALUES (?, ?, ?)');
const last = db.prepare('SELECT id, hash FROM chain ORDER BY id DESC LIMIT 1').get();
let id = Number(last?.id ?? 0);
let hash = String(last?.hash ?? '');

let stopped = false;
process.stdin.once('data', () => (stopped = true));
// The test process is gone.
process.stdin.once('end', () => process.exit(1));

function commit() {
  db.exec('BEGIN IMMEDIATE');
  for (let row = 0; row < rowsPerCommit; row++) {
    const payload = randomBytes(Math.floor(Math.random() * payloadSize * 2));
    hash = createHash('sha256').update(`${hash}|${++id}|`).update(payload).digest('hex');
    insert.run(id, payload, hash);
  }
  db.exec('COMMIT');
}

function step() {
  // oxlint-disable-next-line no-unmodified-loop-condition -- a signal handler sets it
  for (let count = 0; count < 20 && !stopped; count++) {
    commit();
    if (pauseMs > 0) break;
  }
  if (stopped) {
    db.close();
    process.exit(0);
  }
  setTimeout(step, pauseMs);
}

commit();
process.stdout.write('ready\n');
step();
