// Checkpoints in every mode, over and over, as an application might: `node db-checkpointer.mjs DATABASE OPTIONS`.
import { DatabaseSync } from 'node:sqlite';

const [path, json = '{}'] = process.argv.slice(2);
const { modes = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'], pauseMs = 20 } = JSON.parse(json);
const db = new DatabaseSync(path, { timeout: 50 });
let turn = 0;
// The test process is gone.
process.stdin.once('end', () => process.exit(1)).resume();
process.stdout.write('ready\n');
setInterval(() => {
  try {
    db.prepare(`PRAGMA wal_checkpoint(${modes[turn++ % modes.length]})`).get();
  } catch (error) {
    if (error.errcode !== 5) throw error;
  }
}, pauseMs);
