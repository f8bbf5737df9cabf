/** A snapshot of a big database beside a writer at full speed: what it costs the writer, and whether it is one state. */
import { closeSync, createReadStream, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pipeline } from 'node:stream/promises';
import { DB, FileClient, guardClient, nodeSqlite, Replica, restore } from '@litestream/core';
import type { ReplicaClient, SqliteDriver } from '@litestream/core';
import { Child } from '../support/child.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { pause, until } from '../support/wait.ts';
import { PAGES_OF_A_COMMIT } from './snapshot-writer.ts';
import type { SnapshotWriterOptions } from './snapshot-writer.ts';

export interface SnapshotFigures {
  readonly databaseSize: number;
  readonly snapshotMs: number;
  readonly warmUpMs: number;
  readonly commitsBefore: number;
  readonly commitsDuring: number;
  /** Longest commit of the writer, in ms. */
  readonly stallMsBefore: number;
  readonly stallMsDuring: number;
  /** The longest commit while nothing of ours runs, and another program writes as many bytes as the snapshot has. */
  readonly stallMsCopy: number;
  readonly commitsCopy: number;
  readonly copyMs: number;
  /** Longest time that we held SQLite's write lock, from the snapshot until the log had started over, in ms: see docs/reports/soak.md. */
  readonly lockMsMax: number;
  /** Bytes of the WAL file at most. */
  readonly walBefore: number;
  readonly walDuring: number;
  /** What was committed meanwhile, as frames, and so the most that the log may have grown by. */
  readonly framesDuring: number;
  /** Bytes of the log in use at most between the first two times that it started over after the snapshot. */
  readonly walInUseAfter: number;
  /** The transaction of the writer in the restored snapshot. */
  readonly txn: number;
}

const WARM_UP_MS = 2000;
/** A log that does not start over for so long grows by gigabytes. */
const RESTART_MS_MAX = 120_000;
/** WAL frame and page. */
const FRAME_SIZE = 24 + 4096;

/** Throws if the state in the snapshot is not that of its transaction, as the level-0 files alone make it. */
export async function snapshotBesideWriter(sizeMib: number): Promise<SnapshotFigures> {
  await using folder = await temporaryFolder('snapshot');
  const database = join(folder.path, 'app.db');
  const options: SnapshotWriterOptions = { database, log: join(folder.path, 'commits'), rowCount: sizeMib * 256 };
  const writer = new Child('writer', process.execPath, [
    '--no-warnings',
    join(import.meta.dirname, 'snapshot-writer.ts'),
    JSON.stringify(options),
  ]);
  const ended = { timeoutMs: 600_000, failed: () => (writer.exit === undefined ? undefined : writer.output) };
  await until('a full database', () => writer.stdout.includes('ready'), ended);
  const client = guardClient(new FileClient({ path: join(folder.path, 'replica') }));
  const timed = timedDriver();
  await using db = new DB(database, { driver: timed.driver });
  const replica = new Replica(client, db);
  await db.open({ history: replica });
  db.start();
  replica.start();
  await replica.replicated();
  // It may have grown while the first file was made.
  const { failed } = ended;
  await restartOf(`${database}-wal`, failed);

  const wal = { before: 0, during: 0 };
  let phase: 'before' | 'during' | 'after' = 'before';
  const look = (): void => {
    const size = statSync(`${database}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    if (phase !== 'after') wal[phase] = Math.max(wal[phase], size);
  };
  const timer = setInterval(look, 20);
  const begunAt = Date.now();
  await pause(WARM_UP_MS, 'what the writer does before the snapshot');
  // If the machine paused this process, the WAL has grown since the timer looked.
  look();
  phase = 'during';
  timed.lockMsMax = 0;
  const fromMs = Date.now();
  const snapshot = await replica.snapshot();
  const toMs = Date.now();
  phase = 'after';
  clearInterval(timer);
  await restartOf(`${database}-wal`, failed);
  const { lockMsMax } = timed;
  let walInUseAfter = 0;
  await restartOf(`${database}-wal`, failed, () => void (walInUseAfter = Math.max(walInUseAfter, db.status().walSize)));
  await replica.stop();
  await db.close();
  const copyFromMs = Date.now();
  await copyWithSync(database, join(folder.path, 'copied.db'));
  const copyToMs = Date.now();
  await writer.stop();

  const whole = await hashOfRestored(
    only(client, (level) => level === 9),
    snapshot.maxTxid,
    join(folder.path, 'a.db'),
  );
  const raw = await hashOfRestored(
    only(client, (level) => level === 0),
    snapshot.maxTxid,
    join(folder.path, 'b.db'),
  );
  if (whole !== raw) throw new Error(`the snapshot of TXID ${snapshot.maxTxid} is not what the level-0 files make`);
  const commits = new Float64Array(new Uint8Array(readFileSync(options.log)).buffer);
  const before = windowOf(commits, begunAt, fromMs);
  const during = windowOf(commits, fromMs, toMs);
  const copy = windowOf(commits, copyFromMs, copyToMs);
  return {
    databaseSize: statSync(join(folder.path, 'a.db')).size,
    snapshotMs: toMs - fromMs,
    warmUpMs: fromMs - begunAt,
    commitsBefore: before.count,
    commitsDuring: during.count,
    stallMsBefore: before.longestMs,
    stallMsDuring: during.longestMs,
    stallMsCopy: copy.longestMs,
    commitsCopy: copy.count,
    copyMs: copyToMs - copyFromMs,
    lockMsMax,
    walBefore: wal.before,
    walDuring: wal.during,
    framesDuring: during.count * PAGES_OF_A_COMMIT * FRAME_SIZE,
    walInUseAfter,
    txn: txnOf(join(folder.path, 'a.db')),
  };
}

/** The log may grow by what is committed while a snapshot reads from it, and by no more. */
export function logGrewTooMuch({ walBefore, walDuring, framesDuring }: SnapshotFigures): boolean {
  return walDuring > walBefore + framesDuring + (16 << 20);
}

/** A lock that is held while the pages are read would last for nearly all of it. Says something on an idle machine. */
export function writerStoodStill({ snapshotMs, stallMsDuring }: SnapshotFigures): boolean {
  return stallMsDuring > 1000 && stallMsDuring > snapshotMs / 2;
}

/** SQLite, with an account of how long a connection of ours held the write lock. */
function timedDriver(): { readonly driver: SqliteDriver; lockMsMax: number } {
  const timed = { driver: nodeSqlite, lockMsMax: 0 };
  timed.driver = {
    ...nodeSqlite,
    open(path, options) {
      const connection = nodeSqlite.open(path, options);
      let lockedAt = Infinity;
      return {
        exec(sql) {
          connection.exec(sql);
          if (sql === 'BEGIN IMMEDIATE') lockedAt = performance.now();
          if (sql !== 'ROLLBACK') return;
          timed.lockMsMax = Math.max(timed.lockMsMax, performance.now() - lockedAt);
          lockedAt = Infinity;
        },
        get: (sql) => connection.get(sql),
        all: (sql) => connection.all(sql),
        close: () => connection.close(),
      };
    },
  };
  return timed;
}

/**
 * Resolves once the log has started over, told by its salts: a writer at full speed has filled it again before anybody
 * could see that it is short.
 */
async function restartOf(wal: string, failed: () => string | undefined, onLook?: () => void): Promise<void> {
  const before = saltsOf(wal);
  const hasRestarted = (): boolean => {
    onLook?.();
    return saltsOf(wal) !== before;
  };
  await until('the log to start over', hasRestarted, { timeoutMs: RESTART_MS_MAX, failed });
}

/** See https://www.sqlite.org/fileformat2.html#walformat */
function saltsOf(wal: string): string {
  const salts = Buffer.alloc(8);
  const fd = openSync(wal, 'r');
  try {
    readSync(fd, salts, 0, salts.length, 16);
  } finally {
    closeSync(fd);
  }
  return salts.toString('hex');
}

/** As another program would make a copy of the database file and wait for the disk. It is not opened here: see locks. */
async function copyWithSync(from: string, to: string): Promise<void> {
  const script =
    'const fs = require("node:fs"); fs.copyFileSync(process.argv[1], process.argv[2]);' +
    'const fd = fs.openSync(process.argv[2], "r+"); fs.fsyncSync(fd);';
  await new Child('copy', process.execPath, ['-e', script, from, to]).done(600_000);
}

function only(client: ReplicaClient, isSeen: (level: number) => boolean): ReplicaClient {
  return Object.assign(Object.create(client) as ReplicaClient, {
    ltxFiles: (level: number, query: object) => client.ltxFiles(isSeen(level) ? level : 8, query),
    openLtxFile: client.openLtxFile.bind(client),
  });
}

async function hashOfRestored(client: ReplicaClient, txid: bigint, output: string): Promise<string> {
  await restore(client, { output, txid });
  const hash = createHash('sha256');
  await pipeline(createReadStream(output), hash);
  return hash.digest('hex');
}

/** No row may be of a later transaction than the head tells, and one is of that transaction. */
function txnOf(path: string): number {
  using database = new DatabaseSync(path);
  const row = database.prepare('SELECT (SELECT txn FROM head) AS head, (SELECT max(txn) FROM item) AS item').get();
  const verdict = database.prepare('PRAGMA quick_check').get();
  const head = Number(row?.['head']);
  if (verdict?.['quick_check'] !== 'ok' || head !== Number(row?.['item'])) {
    throw new Error(`torn: head ${head}, newest row ${String(row?.['item'])}, ${JSON.stringify(verdict)}`);
  }
  return head;
}

function windowOf(commits: Float64Array, fromMs: number, toMs: number): { count: number; longestMs: number } {
  let count = 0;
  let longestMs = 0;
  for (let at = 0; at < commits.length; at += 2) {
    const endedAt = commits[at] ?? 0;
    if (endedAt < fromMs || endedAt > toMs) continue;
    count += 1;
    longestMs = Math.max(longestMs, commits[at + 1] ?? 0);
  }
  return { count, longestMs };
}
