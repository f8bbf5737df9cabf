/**
 * The database every test of this folder writes: whatever copy of it turns up later can be proven to be exactly the
 * state after some transaction, with nothing torn and nothing lost.
 *
 * `chain` is append-only and each row's hash covers the row before it; a transaction says how many rows it has. `noise`
 * grows, changes and shrinks; triggers keep the sum of its checksums in `total`, so half a transaction shows.
 */
import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';

export const chainSchema = `
  CREATE TABLE IF NOT EXISTS chain (
    id INTEGER PRIMARY KEY, txn INTEGER NOT NULL, rows INTEGER NOT NULL, payload BLOB NOT NULL, hash BLOB NOT NULL
  );
  CREATE TABLE IF NOT EXISTS noise (id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, body BLOB NOT NULL);
  CREATE INDEX IF NOT EXISTS noise_checksum ON noise (checksum);
  CREATE TABLE IF NOT EXISTS total (id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER, checksum INTEGER);
  INSERT OR IGNORE INTO total VALUES (1, 0, 0);
  CREATE TRIGGER IF NOT EXISTS noise_added AFTER INSERT ON noise BEGIN
    UPDATE total SET count = count + 1, checksum = checksum + NEW.checksum;
  END;
  CREATE TRIGGER IF NOT EXISTS noise_removed AFTER DELETE ON noise BEGIN
    UPDATE total SET count = count - 1, checksum = checksum - OLD.checksum;
  END;
  CREATE TRIGGER IF NOT EXISTS noise_changed AFTER UPDATE ON noise BEGIN
    UPDATE total SET checksum = checksum - OLD.checksum + NEW.checksum;
  END;
`;

/** Hash of a chain row: covers its predecessor's. */
export function rowHash(previous: Uint8Array, txn: number, payload: Uint8Array): Uint8Array {
  return createHash('sha256').update(previous).update(String(txn)).update(payload).digest();
}

/** Checksum of a noise row's body: 40 bits. */
export function bodyChecksum(body: Uint8Array): number {
  return createHash('sha256').update(body).digest().readUIntBE(0, 5);
}

/** What a copy proved to hold. */
export interface ChainState {
  /** Number of the last transaction, 0 if there is none; numbers have no gaps. */
  readonly transactionCount: number;
  readonly rowCount: number;
  readonly noiseCount: number;
  /** Hash of the last row, hex. */
  readonly hash: string;
}

/**
 * Proves a database file that no other process writes. Opened as immutable: nothing beside it is read or created.
 * Throws with what is wrong.
 */
export function verifyChain(path: string): ChainState {
  const url = pathToFileURL(path);
  url.searchParams.set('immutable', '1');
  const database = new DatabaseSync(url, { readOnly: true });
  try {
    return verifyOpenChain(database);
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    database.close();
  }
}

export function verifyOpenChain(database: DatabaseSync): ChainState {
  const integrity = database
    .prepare('PRAGMA integrity_check')
    .all()
    .map((row) => String(row['integrity_check']));
  if (integrity.join() !== 'ok') throw new Error(`integrity_check: ${integrity.slice(0, 5).join('; ')}`);
  const tables = database.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name IN ('chain', 'noise', 'total')");
  // The writer makes its schema in one transaction, so a copy has all of it or nothing.
  const tableCount = Number(tables.get()?.['n']);
  if (tableCount === 0) return { transactionCount: 0, rowCount: 0, noiseCount: 0, hash: '' };
  if (tableCount !== 3) throw new Error(`${tableCount} of 3 tables`);
  const noiseCount = verifyNoise(database);
  return { ...verifyRows(database), noiseCount };
}

function verifyRows(database: DatabaseSync): Omit<ChainState, 'noiseCount'> {
  let hash: Uint8Array = new Uint8Array();
  let txn = 0;
  let missing = 0;
  let rowCount = 0;
  for (const row of database.prepare('SELECT id, txn, rows, payload, hash FROM chain ORDER BY id').iterate()) {
    rowCount += 1;
    if (row['id'] !== rowCount) throw new Error(`row ${rowCount} of the chain has id ${String(row['id'])}`);
    if (missing === 0) {
      if (row['txn'] !== txn + 1) throw new Error(`transaction ${txn} is followed by ${String(row['txn'])}`);
      txn += 1;
      missing = Number(row['rows']);
    }
    if (row['txn'] !== txn) throw new Error(`transaction ${txn} lacks ${missing} rows`);
    missing -= 1;
    hash = rowHash(hash, txn, row['payload'] as Uint8Array);
    if (Buffer.compare(hash, row['hash'] as Uint8Array) !== 0) throw new Error(`hash chain breaks at row ${rowCount}`);
  }
  if (missing > 0) throw new Error(`transaction ${txn} lacks ${missing} rows`);
  return { transactionCount: txn, rowCount, hash: Buffer.from(hash).toString('hex') };
}

function verifyNoise(database: DatabaseSync): number {
  let count = 0;
  // 40 bits each: the sum of many is beyond the numbers that are exact.
  let checksum = 0n;
  for (const row of database.prepare('SELECT id, checksum, body FROM noise').iterate()) {
    count += 1;
    checksum += BigInt(Number(row['checksum']));
    if (bodyChecksum(row['body'] as Uint8Array) !== row['checksum']) throw new Error(`noise row ${String(row['id'])}`);
  }
  const select = database.prepare('SELECT count, checksum FROM total');
  select.setReadBigInts(true);
  const total = select.get();
  if (total?.['count'] !== BigInt(count) || total['checksum'] !== checksum) {
    const said = `${String(total?.['count'])} and ${String(total?.['checksum'])}`;
    throw new Error(`noise has ${count} rows, sum ${checksum}; total says ${said}`);
  }
  return count;
}
