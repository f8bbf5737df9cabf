/**
 * Checkpoints a database into one file, and keeps other programs out of it until it gets the message that the file was
 * replaced.
 */
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { requireSmallSchema } from '../../sqlite/schema/schema-limit.ts';
import { sqliteResultCode } from '../../sqlite/driver/busy.ts';
import { DISTRUST } from '../../sqlite/driver/sqlite-driver.ts';
import { hasCode } from '../../util/error.ts';
import type { ReplacedReply } from './replaced-database.ts';

/** Milliseconds. A worker may wait inside SQLite. */
const BUSY_TIMEOUT_MS = 5000;

const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
const url = pathToFileURL(workerData as string);
url.searchParams.set('mode', 'rw');
let database: InstanceType<typeof DatabaseSync> | undefined;
parentPort?.once('message', () => {
  database?.close();
  parentPort?.close();
});
// The rule is about windows, which have origins; a thread's port has none.
// oxlint-disable-next-line unicorn/require-post-message-target-origin
parentPort?.postMessage(hold());

function hold(): ReplacedReply {
  try {
    database = new DatabaseSync(url, { timeout: BUSY_TIMEOUT_MS, defensive: true });
    database.exec(DISTRUST);
    // Recovers the database after a killed writer, without reading the schema.
    database.exec('BEGIN');
    database.prepare('PRAGMA schema_version').get();
    database.exec('ROLLBACK');
    // A thread cannot be ended while a call of SQLite runs, and that can take hours.
    requireSmallSchema(workerData as string);
    database.prepare('PRAGMA journal_mode = delete').get();
    database.exec('BEGIN EXCLUSIVE');
    return { state: 'held' };
  } catch (error) {
    if (hasCode(error, 'SCHEMA_TOO_LARGE')) return { state: 'refused', message: error.message };
    const resultCode = sqliteResultCode(error);
    if (resultCode === undefined) throw error;
    return { state: 'failed', resultCode };
  }
}
