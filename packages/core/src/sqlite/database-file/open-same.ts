/**
 * SQLite opens a database by its path, and neither library can open a descriptor. The owner of a folder can put a link there
 * after our check and before SQLite opens the path. So the file that SQLite opened is compared with the file that was checked,
 * before SQLite reads or writes a page of it.
 */
import { closeSync, fstatSync, openSync } from 'node:fs';
import type { SqliteConnection } from '../driver/sqlite-driver.ts';
import { LitestreamError } from '../../util/error.ts';
import { OPEN_EXISTING } from '../../files/safe-files.ts';
import type { DatabaseDescriptor } from './descriptor.ts';
import { isAtPath } from './descriptor.ts';
import { realDatabasePath } from '../../files/real-path.ts';

/** A file that another thread opens at the same time looks like another database. */
const ATTEMPTS_MAX = 5;

/** The identity of a file. */
export type OpenedFile = Pick<DatabaseDescriptor, 'device' | 'inode'>;

/**
 * Returns the connection that `open` makes to the database at this path. Throws `DATABASE_CHANGED` if SQLite opened another
 * file. Windows has no descriptors, so nothing is compared there.
 */
export function openSame(file: OpenedFile, path: string, open: () => SqliteConnection): SqliteConnection {
  if (process.platform === 'win32') return open();
  for (let attempt = 1; ; attempt += 1) {
    const next = nextDescriptor();
    const connection = open();
    try {
      if (isSame(next, file) && isNamed(connection, path) && isAtPath(file, path)) return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
    connection.close();
    if (attempt === ATTEMPTS_MAX) throw changedError(path);
  }
}

/** The descriptor that the next opened file gets: the lowest free number. */
function nextDescriptor(): number {
  const fd = openSync('/dev/null', OPEN_EXISTING.read);
  closeSync(fd);
  return fd;
}

/** If SQLite reuses a descriptor that it already has of the file, this number is not open. */
function isSame(fd: number, file: OpenedFile): boolean {
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return dev === file.device && ino === file.inode;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EBADF') return true;
    throw error;
  }
}

/** Whether SQLite found this path after it had followed all links. The statement reads nothing from the database. */
function isNamed(connection: SqliteConnection, path: string): boolean {
  const name = connection.get('PRAGMA database_list')?.['file'];
  return name === path || name === realDatabasePath(path);
}

export function changedError(path: string): LitestreamError {
  return new LitestreamError(`the path led to another file while the database was opened: ${path}`, {
    code: 'DATABASE_CHANGED',
    retryable: true,
    operation: 'open',
    object: path,
    hint: 'Do not replace the database, or a folder above it, while Litestream opens it.',
  });
}
