/**
 * An application on the main thread, Litestream in a worker thread that ends: `worker-host.mjs DATABASE OPTIONS`. Prints, as
 * JSON, what the thread said and the rows of the application after another process has opened and closed the database.
 * Options: `driver`, `trackUnmanagedFds`, `end` ("stop" or "terminate").
 */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { betterSqlite3, nodeSqlite } from '../../src/index.ts';

const [path, text] = process.argv.slice(2);
const options = JSON.parse(text);
const require = createRequire(import.meta.url);
const driver = options.driver === 'node:sqlite' ? nodeSqlite : betterSqlite3(require('better-sqlite3'));
writeFileSync(path, '');
const app = driver.open(path);
app.get('PRAGMA journal_mode = wal');
app.exec('CREATE TABLE t (v); INSERT INTO t VALUES (1)');

const worker = new Worker(
  `
  const { parentPort } = require('node:worker_threads');
  const { createRequire } = require('node:module');
  void (async () => {
    const { Litestream, betterSqlite3 } = await import(${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)});
    const load = createRequire(${JSON.stringify(import.meta.url)});
    const options = ${JSON.stringify(options.driver)} === 'node:sqlite' ? {} : { driver: betterSqlite3(load('better-sqlite3')) };
    const litestream = new Litestream(options);
    try {
      const db = await litestream.replicate(${JSON.stringify(path)}, ${JSON.stringify(`${path}-replica`)});
      await db.replicated();
      parentPort.postMessage('replicated');
    } catch (error) {
      parentPort.postMessage(error.code + ' ' + error.message);
    }
    parentPort.once('message', () => litestream.stop());
  })();
  `,
  { eval: true, trackUnmanagedFds: options.trackUnmanagedFds },
);
const said = await new Promise((resolve, reject) => {
  worker.once('message', resolve);
  worker.once('error', reject);
});
const exited = new Promise((resolve) => worker.once('exit', resolve));
if (options.end === 'terminate') await worker.terminate();
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has no origin
else worker.postMessage('stop');
await exited;

app.exec('INSERT INTO t VALUES (2)');
const other = `const d = new (require('node:sqlite').DatabaseSync)(process.argv[1]); d.prepare('SELECT count(*) FROM t').get(); d.close()`;
spawnSync(process.execPath, ['--no-warnings', '-e', other, path]);
app.exec('INSERT INTO t VALUES (3)');
const count = `const d = new (require('node:sqlite').DatabaseSync)(process.argv[1]); console.log(String(d.prepare('SELECT count(*) AS n FROM t').get().n))`;
const seen = spawnSync(process.execPath, ['--no-warnings', '-e', count, path], { encoding: 'utf8' });
console.log(JSON.stringify({ said, hasWal: existsSync(`${path}-wal`), seen: seen.stdout.trim() }));
