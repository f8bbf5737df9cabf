/**
 * An application that writes as fast as it can: `node writer.ts DATABASE SECONDS`. Ten rows a commit, WAL mode and
 * `synchronous = NORMAL`, all else as SQLite has it. Prints commits a second.
 */
import { Orders } from '../lib/database.ts';

const [path, seconds] = process.argv.slice(2);
if (path === undefined || seconds === undefined) throw new Error('usage: writer.ts DATABASE SECONDS');
const orders = new Orders(path);
const startedAt = performance.now();
const endsAt = startedAt + Number(seconds) * 1000;
let commits = 0;
while (performance.now() < endsAt) {
  orders.add(10);
  commits += 1;
}
const elapsedMs = performance.now() - startedAt;
orders.database.close();
console.log(JSON.stringify({ commits, perSecond: (commits * 1000) / elapsedMs }));
