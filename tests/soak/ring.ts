/**
 * The soak's database: a ring of rows, so that its size stays the same however long it is written to, under a chain of
 * hashes that goes on for ever. Transaction `n` overwrites row `n mod size` with a new payload, and
 * hash(n) = sha256(hash(n - 1) ‖ n ‖ payload). Who knows hash(n) from elsewhere can prove a copy: every row is there,
 * each is the newest of its slot, and the chain through all of them ends in the recorded hash.
 */
import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';

export const ringSchema = `
  CREATE TABLE IF NOT EXISTS ring (slot INTEGER PRIMARY KEY, txn INTEGER NOT NULL, hash BLOB NOT NULL, payload BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY CHECK (id = 1), txn INTEGER NOT NULL, size INTEGER NOT NULL);
`;

export function linkHash(previous: Uint8Array, txn: number, payload: Uint8Array): Uint8Array {
  return createHash('sha256').update(previous).update(String(txn)).update(payload).digest();
}

/** What a copy proved to hold: the state after a transaction, and the chain's hash there. */
export interface RingState {
  readonly txn: number;
  readonly hash: string;
}

/** Throws with what is wrong. Opened as immutable: nothing beside the file is read or made. */
export function verifyRing(path: string): RingState {
  const url = pathToFileURL(path);
  url.searchParams.set('immutable', '1');
  const database = new DatabaseSync(url, { readOnly: true });
  try {
    const integrity = database.prepare('PRAGMA integrity_check').get()?.['integrity_check'];
    if (integrity !== 'ok') throw new Error(`integrity_check: ${String(integrity)}`);
    const tables = database.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name IN ('ring', 'head')").get();
    // The first sync may come before the schema.
    if (tables?.['n'] === 0) return { txn: 0, hash: '' };
    return verifyRows(database);
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    database.close();
  }
}

function verifyRows(database: DatabaseSync): RingState {
  const head = database.prepare('SELECT txn, size FROM head').get();
  const txn = Number(head?.['txn'] ?? 0);
  const size = Number(head?.['size'] ?? 0);
  let hash: Uint8Array | undefined;
  let expected = Math.max(1, txn - size + 1);
  for (const row of database.prepare('SELECT slot, txn, hash, payload FROM ring ORDER BY txn').iterate()) {
    if (row['txn'] !== expected) throw new Error(`transaction ${expected} is missing, ${String(row['txn'])} is there`);
    if (row['slot'] !== expected % size) throw new Error(`transaction ${expected} is in slot ${String(row['slot'])}`);
    const stored = row['hash'] as Uint8Array;
    // The row before the oldest is gone: the oldest row's hash is where the chain is taken up.
    const linked: Uint8Array | undefined =
      expected === 1
        ? linkHash(new Uint8Array(), 1, row['payload'] as Uint8Array)
        : hash === undefined
          ? undefined
          : linkHash(hash, expected, row['payload'] as Uint8Array);
    if (linked !== undefined && Buffer.compare(linked, stored) !== 0) throw new Error(`hash breaks at ${expected}`);
    hash = stored;
    expected += 1;
  }
  if (expected !== txn + 1) throw new Error(`rows end at transaction ${expected - 1}, the head says ${txn}`);
  return { txn, hash: hash === undefined ? '' : Buffer.from(hash).toString('hex') };
}
