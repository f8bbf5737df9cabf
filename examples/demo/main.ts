/**
 * `npm run demo`: an application writes, `litestream replicate` follows, both are killed and the database is deleted in
 * the middle of a write, `litestream restore` brings it back, and every row is checked. Exits 1 if anything is wrong.
 */
import { fork, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Verdict } from './orders.ts';
import { ReplicaWatch } from './replica-watch.ts';
import type { Commit, FromShop, ToShop } from './shop.ts';
import { bold, megabytes, percentile, say, thousands } from './story.ts';

const QUIET_ORDERS = 50;
const SYNC_INTERVAL_MS = 50;
const RUSH_MS = 3000;
const WAIT_MS = 15_000;

const litestream = fileURLToPath(new URL('../../packages/cli/bin/litestream.js', import.meta.url));
const shopFile = fileURLToPath(new URL('shop.ts', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'litestream-demo-'));
const database = join(folder, 'shop.db');
const replica = join(folder, 'replica');
const config = join(folder, 'litestream.yml');
const log = join(folder, 'litestream.log');
const children: ChildProcess[] = [];

try {
  await main();
} catch (error) {
  console.error(`\nError: the demo failed: ${error instanceof Error ? error.message : String(error)}`);
  if (existsSync(log)) console.error(`litestream said:\n${readFileSync(log, 'utf8').slice(-2000)}`);
  process.exitCode = 1;
} finally {
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(children.map(ended));
  rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  console.log(`\n${bold('Litestream for TypeScript')}: a database is lost, and comes back\n`);
  const shop = await openShop();
  say(
    'app',
    `opened ${database} (${megabytes(sizeOf(database) + sizeOf(`${database}-wal`))}), a shop that takes orders`,
  );

  writeFileSync(
    config,
    `dbs:\n  - path: ${JSON.stringify(database)}\n    replica: { path: ${JSON.stringify(replica)}, sync-interval: ${SYNC_INTERVAL_MS}ms }\n`,
  );
  const startMs = performance.now();
  const daemon = startLitestream('replicate', '-config', config);
  using watch = await firstFile();
  say('litestream', `replicates it to ${replica}`);
  say('', `first copy there after ${((performance.now() - startMs) / 1000).toFixed(2)} s, process start included`);

  const latencies = await quietShop(shop, watch);
  say('quiet', `${QUIET_ORDERS} orders, one at a time, each awaited on the replica`);
  say('', `commit to replica: p50 ${percentile(latencies, 50)} ms, p99 ${percentile(latencies, 99)} ms`);

  const before = watch.arrivals.length;
  const commits = await rushHour(shop);
  await kill(shop.process, daemon);
  watch.look();
  const files = watch.arrivals.slice(before);
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  say(
    'rush hour',
    `${thousands(commits.length)} commits in ${RUSH_MS / 1000} s became ${files.length} files, ${megabytes(bytes)}`,
  );

  for (const name of readdirSync(folder)) {
    if (name.includes('shop.db')) rmSync(join(folder, name), { recursive: true });
  }
  say('disaster', 'kill -9 app and litestream in mid-write; database, WAL and local state deleted');

  const acknowledged = acknowledgedId(commits, watch);
  const restored = await restore();
  say('litestream', `restored ${megabytes(restored.size)} in ${restored.durationMs} ms: ${restored.speed}`);

  const verdict = await verify();
  check(verdict.integrity === 'ok', `integrity_check says ${verdict.integrity}`);
  check(verdict.catalogueRows > 0, 'rows of the catalogue are missing');
  check(verdict.brokenAt === undefined, `the hash chain breaks at order ${verdict.brokenAt}`);
  check(verdict.orders === verdict.lastId, 'orders are missing from the middle');
  const lost = Math.max(0, acknowledged - verdict.lastId);
  say('check', `integrity_check ok, ${thousands(verdict.orders)} orders, hash chain unbroken`);
  say('', `${thousands(acknowledged)} orders were known to be on the replica; lost of those: ${bold(String(lost))}`);
  check(lost === 0, `${lost} orders that were on the replica are lost`);
  console.log('');
}

interface Shop {
  readonly process: ChildProcess;
  readonly commits: Commit[];
  tell(message: ToShop): void;
  /** Resolves when this many commits were reported. */
  reported(count: number): Promise<void>;
}

async function openShop(): Promise<Shop> {
  const child = forkShop('run');
  const commits: Commit[] = [];
  let wake = (): void => undefined;
  const ready = Promise.withResolvers<void>();
  child.on('message', (message: FromShop) => {
    if (message.kind === 'commits') commits.push(...message.commits);
    else ready.resolve();
    wake();
  });
  child.on('exit', () => ready.reject(new Error('the app ended')));
  await ready.promise;
  return {
    process: child,
    commits,
    tell: (message) => void child.send(message),
    async reported(count) {
      while (commits.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

function forkShop(task: 'run' | 'verify'): ChildProcess {
  const child = fork(shopFile, [task, database], { execArgv: ['--disable-warning=ExperimentalWarning'] });
  children.push(child);
  return child;
}

function startLitestream(...args: string[]): ChildProcess {
  const output = openSync(log, 'a');
  const child = spawn(process.execPath, [litestream, ...args], { stdio: ['ignore', output, output] });
  children.push(child);
  return child;
}

async function firstFile(): Promise<ReplicaWatch> {
  const level0 = join(replica, 'ltx', '0');
  for (let waitedMs = 0; waitedMs < WAIT_MS; waitedMs += 10) {
    if (existsSync(level0) && readdirSync(level0).some((name) => name.endsWith('.ltx')))
      return new ReplicaWatch(replica);
    await sleep(10);
  }
  throw new Error('nothing reached the replica');
}

/** One order at a time: the next file that arrives can hold nothing but it. Returns milliseconds, ascending. */
async function quietShop(shop: Shop, watch: ReplicaWatch): Promise<number[]> {
  const latencies: number[] = [];
  for (let order = 0; order < QUIET_ORDERS; order += 1) {
    await sleep(SYNC_INTERVAL_MS + Math.random() * SYNC_INTERVAL_MS);
    const count = watch.arrivals.length;
    shop.tell('one order');
    await shop.reported(order + 1);
    const arrival = await watch.after(count, WAIT_MS);
    latencies.push(arrival.seenMs - (shop.commits[order]?.[1] ?? 0));
  }
  return latencies.sort((a, b) => a - b);
}

async function rushHour(shop: Shop): Promise<Commit[]> {
  shop.tell('rush hour');
  await sleep(RUSH_MS);
  return shop.commits.slice(QUIET_ORDERS);
}

/**
 * The last order that is certain to be on the replica, judged from outside. A file's time is taken before it is
 * finished, and the next one is begun after that: so whatever was committed before the time in file n is in file n + 1
 * at the latest, and counts once that one has arrived.
 */
function acknowledgedId(commits: readonly Commit[], watch: ReplicaWatch): number {
  const byTxid = [...watch.arrivals].sort((a, b) => Number(a.txid - b.txid));
  const fenceMs = byTxid.at(-2)?.headerTimeMs ?? 0;
  return commits.reduce((id, [lastId, atMs]) => (Math.ceil(atMs) <= fenceMs ? lastId : id), QUIET_ORDERS);
}

async function restore(): Promise<{ size: number; durationMs: number; speed: string }> {
  const startMs = performance.now();
  const child = startLitestream('restore', '-integrity-check', 'none', '-config', config, database);
  const exitCode = await ended(child);
  check(exitCode === 0, `litestream restore exited with ${exitCode}`);
  const durationMs = Math.round(performance.now() - startMs);
  const size = sizeOf(database);
  return { size, durationMs, speed: `${megabytes((size / durationMs) * 1000)}/s, process start included` };
}

async function verify(): Promise<Verdict> {
  const child = forkShop('verify');
  return new Promise((resolve, reject) => {
    child.on('message', (message: FromShop) => {
      if (message.kind === 'verdict') resolve(message.verdict);
    });
    child.on('exit', () => reject(new Error('the check of the restored database failed')));
  });
}

async function kill(...victims: ChildProcess[]): Promise<void> {
  for (const victim of victims) victim.kill('SIGKILL');
  await Promise.all(victims.map(ended));
}

/** Resolves to the exit code, null after a signal. */
async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve));
  return child.exitCode;
}

function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
