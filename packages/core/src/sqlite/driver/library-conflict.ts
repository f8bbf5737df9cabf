/** Detects two copies of SQLite in one process that have the same database open (Linux). */
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LitestreamError } from '../../util/error.ts';
import type { SqliteDriver } from './sqlite-driver.ts';

/**
 * How often the first region of each `-shm` is mapped, by inode and name; undefined if the system does not list maps.
 */
type SharedMaps = ReadonlyMap<string, number> | undefined;

let read: { readonly maps: SharedMaps; readonly atMs: number } | undefined;
let reading: Promise<SharedMaps> | undefined;

/** With many databases the list is long: calls share one list. */
function sharedMaps(ageMsMax: number): SharedMaps {
  const nowMs = performance.now();
  if (read === undefined || ageMsMax === 0 || nowMs - read.atMs > ageMsMax) {
    read = { maps: readSharedMaps(), atMs: nowMs };
  }
  return read.maps;
}

function readSharedMaps(): SharedMaps {
  try {
    return countMaps(readFileSync('/proc/self/maps', 'latin1'));
  } catch {
    return undefined; // Not Linux, or /proc is not mounted.
  }
}

/**
 * Maps of the first region of each `-shm`, by inode and name. Without the device: overlay file systems show another one
 * here.
 */
export function countMaps(maps: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const line of maps.split('\n')) {
    if (!line.endsWith('-shm') && !line.endsWith('-shm (deleted)')) continue;
    const [, flags, offset, , inode, file] = /^\S+ (\S+) (\S+) (\S+) (\d+)\s+(.*)$/.exec(line) ?? [];
    if (flags?.[3] !== 's' || Number.parseInt(offset ?? '1', 16) !== 0 || file === undefined) continue;
    const key = `${inode} ${basename(file)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** The key of a `-shm` in such a list, which shows names as bytes. */
export function mapKey(inode: bigint, path: string): string {
  return `${inode} ${Buffer.from(basename(path)).toString('latin1')}`;
}

/**
 * Throws `DRIVER_CONFLICT` if another copy of SQLite than the driver's has the database open in this process. The
 * driver must have a connection to it, in WAL mode; if this throws, that connection must stay open permanently, because
 * closing it drops the other copy's locks.
 *
 * Each copy maps the database's `-shm` once, for all of its connections. So this counts the maps in Linux's list. It
 * opens no file of the database, and touches no lock.
 *
 * @param ageMsMax How old the list may be.
 */
export function refuseSecondLibrary(path: string, driver: SqliteDriver, ageMsMax = 0): void {
  refuseIn(sharedMaps(ageMsMax), path, driver);
}

/** The same, with one list for all databases that are opened at the same time. */
export async function refuseSecondLibraryAtOpening(path: string, driver: SqliteDriver): Promise<void> {
  reading ??= nextTurn().then(() => {
    reading = undefined;
    return sharedMaps(0);
  });
  refuseIn(await reading, path, driver);
}

function refuseIn(maps: SharedMaps, path: string, driver: SqliteDriver): void {
  if (hasSecondMap(maps, path)) throw libraryConflict(path, driver);
}

/** Does another copy of SQLite have the database open in this process now? False if that cannot be known. */
export function isSecondLibraryOpen(path: string): boolean {
  return hasSecondMap(sharedMaps(0), path);
}

function hasSecondMap(maps: SharedMaps, path: string): boolean {
  const shm = statSync(`${path}-shm`, { bigint: true, throwIfNoEntry: false });
  if (shm === undefined || maps === undefined) return false;
  return (maps.get(mapKey(shm.ino, `${path}-shm`)) ?? 0) > 1;
}

/**
 * Does this process map this `-shm`, which may be deleted? Undefined if that cannot be known. Check it before its
 * descriptor is closed, which drops the locks of every connection that still uses it.
 */
export function isMapped(inode: bigint): boolean | undefined {
  const maps = sharedMaps(0);
  if (maps === undefined) return undefined;
  return [...maps.keys()].some((key) => key.startsWith(`${inode} `));
}

/**
 * Does this process have the database open in WAL mode, with any copy of SQLite? Opens no file of the database. False
 * if that cannot be known: on systems other than Linux.
 */
export function isOpenHere(path: string): boolean {
  const shm = statSync(`${path}-shm`, { bigint: true, throwIfNoEntry: false });
  return shm !== undefined && (sharedMaps(0)?.get(mapKey(shm.ino, `${path}-shm`)) ?? 0) > 0;
}

const kept = new Set<unknown>();

/** Keeps a connection for the life of the process, so that not even the garbage collector closes it. */
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
