/** What another writer, and other databases of the same process, wait for after a commit of hundreds of megabytes. */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { DB, FileClient, guardClient, Replica, restore } from '@litestream/core';
import { Child } from '../support/child.ts';
import { slowDisk } from '../support/slow-disk.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { pause, until } from '../support/wait.ts';
import type { LargeCommitOptions } from './large-commit-writer.ts';

export interface LargeCommitFigures {
  /** From the commit until the WAL restarted. */
  readonly durationMs: number;
  /** The longest checkpoint of ours. */
  readonly checkpointMs: number;
  /** The longest time that a small commit waited for SQLite's write lock. */
  readonly waitMs: number;
  /** The longest small commit. */
  readonly commitMs: number;
  readonly commits: number;
  /** The longest time that the event loop of the process that replicates stood still, the large commit included. */
  readonly stallMs: number;
  readonly restoredRows: number;
}

export interface LargeCommitSettings {
  readonly sizeMib: number;
  /** What the disk of the database writes; undefined: as fast as it can. */
  readonly mibPerSecond?: number | undefined;
  readonly pauseMs?: number | undefined;
}

/** How long small commits go on after the WAL has restarted. */
const AFTER_MS = 2000;
/** Bytes of a WAL that has restarted. */
const SHORT_WAL_SIZE = 8 << 20;

/** Undefined where a slow disk is asked for and cannot be made. Throws if a small commit failed, or is not in the replica. */
export async function largeCommit(settings: LargeCommitSettings): Promise<LargeCommitFigures | undefined> {
  const { sizeMib, mibPerSecond, pauseMs = 2 } = settings;
  await using folder = await temporaryFolder('large-commit');
  // The WAL, the database, a local file, and what is written meanwhile.
  const disk = mibPerSecond === undefined ? undefined : slowDisk(folder.path, { sizeMib: 6 * sizeMib, mibPerSecond });
  if (mibPerSecond !== undefined && disk === undefined) return undefined;
  using disks = new DisposableStack();
  disks.use(disk);
  const database = join(disk?.path ?? folder.path, 'app.db');
  const options: LargeCommitOptions = { database, log: join(folder.path, 'commits'), sizeMib, pauseMs };
  await using writer = new Child('writer', process.execPath, [
    '--no-warnings',
    join(import.meta.dirname, 'large-commit-writer.ts'),
    JSON.stringify(options),
  ]);
  const timeoutMs = 900_000;
  const failed = (): string | undefined => (writer.exit === undefined ? undefined : writer.output);
  await until('the writer', () => writer.stdout.includes('ready'), { timeoutMs, failed });
  const client = guardClient(new FileClient({ path: join(folder.path, 'replica') }));
  await using db = new DB(database);
  const replica = new Replica(client, db);
  await db.open({ history: replica });
  db.start();
  replica.start();
  await replica.replicated();
  let checkpointMs = 0;
  let wasLong = false;
  db.onCheckpoint(({ durationMs, log }) => {
    checkpointMs = Math.max(checkpointMs, durationMs);
    // Frames of one page, of 4 KiB.
    if (log >= sizeMib * 256) wasLong = true;
  });

  const delays = monitorEventLoopDelay({ resolution: 5 });
  delays.enable();
  writer.signal('SIGUSR2');
  await until('the large commit', () => writer.stdout.includes('committed'), { timeoutMs, failed });
  const startMs = performance.now();
  const hasRestarted = (): boolean => wasLong && db.status().walSize < SHORT_WAL_SIZE;
  await until('the log to start over', hasRestarted, { timeoutMs, failed });
  const durationMs = performance.now() - startMs;
  await pause(AFTER_MS, 'small commits that follow');
  delays.disable();
  await writer.stop();
  await replica.replicated();
  await replica.stop();
  await db.close();

  const commits = new Float64Array(new Uint8Array(readFileSync(options.log)).buffer);
  let waitMs = 0;
  let commitMs = 0;
  for (let index = 0; index < commits.length; index += 3) {
    waitMs = Math.max(waitMs, commits[index + 1] ?? 0);
    commitMs = Math.max(commitMs, commits[index + 2] ?? 0);
  }
  const output = join(folder.path, 'restored.db');
  await restore(client, { output });
  using copy = new DatabaseSync(output);
  const restoredRows = Number(copy.prepare('SELECT count(*) AS n FROM small').get()?.['n']);
  if (restoredRows !== commits.length / 3) throw new Error(`${commits.length / 3} commits, ${restoredRows} restored`);
  return {
    durationMs,
    checkpointMs,
    waitMs,
    commitMs,
    commits: commits.length / 3,
    stallMs: delays.max / 1e6,
    restoredRows,
  };
}
