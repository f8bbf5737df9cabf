import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { BetterSqlite3 } from '../driver/better-sqlite3.ts';
import { betterSqlite3 } from '../driver/better-sqlite3.ts';
import { isBusy } from '../driver/busy.ts';
import { nodeSqlite } from '../driver/node-sqlite.ts';
import type { SqliteConnection, SqliteDriver, WorkerLibrary } from '../driver/sqlite-driver.ts';
import type { CheckpointAnswer, CheckpointTask } from './checkpoint-job.ts';
import { openSame } from '../database-file/open-same.ts';
import { BUSY, runCheckpoint, setUpWriter } from './checkpoint-call.ts';

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port has no origin
parentPort?.postMessage(answer(workerData as CheckpointTask));

function answer({ path, file, library }: CheckpointTask): CheckpointAnswer {
  let driver: SqliteDriver;
  try {
    driver = driverOf(library);
  } catch (error) {
    return { unavailable: String(error) };
  }
  // If the WAL was deleted under us, a new connection would create a second one.
  if (!existsSync(`${path}-wal`)) return { result: BUSY };
  let connection: SqliteConnection | undefined;
  try {
    connection = openSame(file, path, () => driver.open(path));
    setUpWriter(connection);
    return { result: runCheckpoint(connection, 'PASSIVE') };
  } catch (error) {
    if (isBusy(error)) return { result: BUSY };
    const { message, code, errcode } = error as { message: string; code?: unknown; errcode?: unknown };
    return { failure: { message, code, errcode } };
  } finally {
    connection?.close();
  }
}

function driverOf(library: WorkerLibrary): SqliteDriver {
  if (library.name === 'node:sqlite') return nodeSqlite;
  return betterSqlite3(createRequire(library.path)(library.path) as BetterSqlite3);
}
