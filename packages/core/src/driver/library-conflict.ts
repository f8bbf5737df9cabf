/** Two copies of SQLite in one process that have the same database open: found where that can be found. */
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { LitestreamError } from '../error.ts';
import type { SqliteDriver } from './sqlite-driver.ts';

/**
 * How many copies of SQLite in this process have a database open in WAL mode. Each maps the database's `-shm` for itself,
 * and once, however many connections it has: its maps are counted, by inode, in Linux's list of them. Nothing is opened
 * that has to do with the database, so no lock is touched. Undefined where there is no such list.
 */
export function librariesWithDatabase(path: string): number | undefined {
  const shm = statSync(`${path}-shm`, { bigint: true, throwIfNoEntry: false });
  if (shm === undefined) return undefined;
  let maps: string;
  try {
    maps = readFileSync('/proc/self/maps', 'latin1');
  } catch {
    return undefined; // Not Linux, or /proc is not mounted: it cannot be known.
  }
  return countMaps(maps, shm.ino, `${basename(path)}-shm`);
}

/** Maps of the first region of this file. The device is not compared: overlay file systems show another one here. */
export function countMaps(maps: string, inode: bigint, name: string): number {
  let count = 0;
  for (const line of maps.split('\n')) {
    const [, flags, offset, , number, file] = /^\S+ (\S+) (\S+) (\S+) (\d+)\s+(.*)$/.exec(line) ?? [];
    if (flags?.[3] !== 's' || number === undefined || BigInt(number) !== inode) continue;
    if (
      Number.parseInt(offset ?? '1', 16) === 0 &&
      file?.endsWith(`/${Buffer.from(name).toString('latin1')}`) === true
    ) {
      count++;
    }
  }
  return count;
}

/**
 * Throws `DRIVER_CONFLICT` if another copy of SQLite than the driver's has the database open in this process. The driver
 * has a connection to it by now, in WAL mode; that must stay open for good if this throws, for closing it is what drops
 * the other copy's locks.
 */
export function refuseSecondLibrary(path: string, driver: SqliteDriver): void {
  const count = librariesWithDatabase(path);
  if (count === undefined || count < 2) return;
  throw libraryConflict(path, driver);
}

const kept = new Set<unknown>();

/** Keeps a connection for the life of the process: nobody may close it, not even the garbage collector. */
export function keepForGood(connection: unknown): void {
  kept.add(connection);
}

function libraryConflict(path: string, driver: SqliteDriver): LitestreamError {
  const isDefault = driver.name === 'node:sqlite';
  return new LitestreamError(
    `this process has the database open with another copy of SQLite than that of ${driver.name}: ${path}`,
    {
      code: 'DRIVER_CONFLICT',
      operation: 'open',
      object: path,
      hint: isDefault
        ? "Two copies drop each other's locks, which can damage the database. Give Litestream the library of the program: new Litestream({ driver: betterSqlite3(Database) })."
        : "Two copies drop each other's locks, which can damage the database. Open it with one library everywhere: leave `driver` out if the program uses node:sqlite.",
    },
  );
}
