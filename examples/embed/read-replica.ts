/** A read-only copy in another program, kept up to date and never torn: `node … REPLICA_URL COPY_PATH`. */
import { DatabaseSync } from 'node:sqlite';
import { Litestream } from '@litestream/core';

const [replica = 'file:///backups/app', output = 'copy.db'] = process.argv.slice(2);

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
process.once('SIGTERM', () => stop.abort());

await using litestream = new Litestream();
litestream.on('error', ({ error }) => console.error('following:', error));
const follower = await litestream.follow(replica, {
  output,
  intervalMs: 100,
  signal: stop.signal,
  onUpdate: () => report(),
});
report();

function report(): void {
  const database = new DatabaseSync(follower.path, { readOnly: true });
  console.log(database.prepare('SELECT count(*) AS notes FROM notes').get());
  database.close();
}

// The program's own work goes here; the copy follows beside it.
await new Promise((resolve) => stop.signal.addEventListener('abort', resolve, { once: true }));
