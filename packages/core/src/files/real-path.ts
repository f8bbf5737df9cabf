import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** As many as SQLite follows (`SQLITE_MAX_SYMLINK`). */
const LINKS_MAX = 200;

/**
 * The file that SQLite opens for this path: links are followed, also one that leads to a database that does not exist yet.
 * SQLite keeps the `-wal` and the `-shm` beside that file, under its name.
 */
export function realDatabasePath(path: string): string {
  let at = resolve(path);
  for (let links = 0; links <= LINKS_MAX; links += 1) {
    try {
      return realpathSync.native(at);
    } catch {
      // There is no file, a link is dangling or circular, or a folder is missing or not accessible.
    }
    const target = targetOf(at);
    if (target === undefined) return join(realFolder(dirname(at)), at.slice(dirname(at).length).replace(/^\//, ''));
    at = resolve(realFolder(dirname(at)), target);
  }
  return path;
}

function realFolder(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return path;
  }
}

/** The target of a link; undefined if the path is no link. */
function targetOf(path: string): string | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true ? readlinkSync(path) : undefined;
  } catch {
    return undefined;
  }
}
