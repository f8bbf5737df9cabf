/**
 * The application, a process of its own: `shop.ts run DB` places orders as it is told over IPC and reports each commit;
 * `shop.ts verify DB` looks at a restored database and reports what it finds. It knows nothing of Litestream.
 */
import { OrderBook, createShop, verifyShop } from './orders.ts';
import type { Verdict } from './orders.ts';

/** `[id of the last order, time after the commit in milliseconds since the epoch]` */
export type Commit = readonly [lastId: number, atMs: number];
export type FromShop =
  | { readonly kind: 'ready' }
  | { readonly kind: 'commits'; readonly commits: readonly Commit[] }
  | { readonly kind: 'verdict'; readonly verdict: Verdict };
export type ToShop = 'one order' | 'rush hour';

const ORDERS_PER_COMMIT = 5;
const REPORT_INTERVAL_MS = 20;

const [task, path = ''] = process.argv.slice(2);
if (task === 'verify') send({ kind: 'verdict', verdict: verifyShop(path) });
else run();

function run(): void {
  const book = new OrderBook(createShop(path));
  process.on('message', (message: ToShop) => {
    if (message === 'one order') send({ kind: 'commits', commits: [commit(book, 1)] });
    else rush(book);
  });
  // Nobody to report to: the demo is over.
  process.on('disconnect', () => process.exit());
  send({ kind: 'ready' });
}

/** Orders without a pause, until the process is killed. */
function rush(book: OrderBook): void {
  const commits: Commit[] = [];
  const untilMs = now() + REPORT_INTERVAL_MS;
  while (now() < untilMs) commits.push(commit(book, ORDERS_PER_COMMIT));
  send({ kind: 'commits', commits });
  setImmediate(() => rush(book));
}

function commit(book: OrderBook, count: number): Commit {
  const lastId = book.place(count);
  return [lastId, now()];
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

function send(message: FromShop): void {
  process.send?.(message);
}
