// Replicates a database until told to stop: `node litestream-daemon.mjs DATABASE OPTIONS`, with options `replica`, a folder,
// `driver` and `metaPath`. Writes a line of JSON at each change of its state, and one for each warning.
import { createRequire } from 'node:module';
import { Litestream, betterSqlite3 } from '../../src/index.ts';

const [path, json = '{}'] = process.argv.slice(2);
const { replica, driver = 'node:sqlite', metaPath, syncIntervalMs = 50 } = JSON.parse(json);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const silent = () => undefined;
const logger = {
  trace: silent,
  debug: silent,
  info: silent,
  warn: (message, fields = {}) => say({ warn: message, pid: fields.pid, host: fields.host, since: fields.since }),
  error: (message, fields = {}) => say({ error: message, text: String(fields.error) }),
  child: () => logger,
};
const library = driver === 'node:sqlite' ? undefined : betterSqlite3(createRequire(import.meta.url)('better-sqlite3'));
const litestream = new Litestream({ driver: library, logger });
// A program that is slow in a transaction holds the write lock for as long.
const patience = { busyTimeoutMs: 60_000 };
const database = await litestream.replicate(path, replica, {
  metaPath,
  syncIntervalMs,
  arrivalQuietMs: 20,
  ...patience,
});
let last;
const timer = setInterval(() => {
  const { state } = database.status().db;
  if (state !== last) say({ state: (last = state) });
}, 5);
// How far it is, for whoever waits in vain.
setInterval(
  () => say({ txid: Number(database.status().db.position.txid), uploaded: Number(database.position.txid) }),
  2000,
);

process.on('SIGTERM', () => void end());
process.stdin.once('data', () => void acknowledge());
process.stdin.once('end', () => process.exit(1));

async function acknowledge() {
  process.stdin.once('data', () => void acknowledge());
  await database.replicated().then(
    () => say({ replicated: true }),
    (error) => say({ replicated: false, code: error.code, text: error.message }),
  );
}

async function end() {
  clearInterval(timer);
  await litestream.stop().then(
    () => process.exit(0),
    (error) => {
      say({ error: 'stop', text: String(error) });
      process.exit(1);
    },
  );
}
