import { lstatSync, statSync } from 'node:fs';
import { LitestreamError } from '../../util/error.ts';

/** SQLite opens these beside a database, and follows no link there. */
const SIDE_FILES = ['-journal', '-wal', '-shm'];

/**
 * Throws `DATABASE_INVALID` for a pipe in the place of the database or of a file beside it. SQLite would open it, and block this
 * thread until another process opens its other end.
 */
export function refusePipes(path: string): void {
  const places = [{ at: path, stats: statSync(path, { throwIfNoEntry: false }) }];
  for (const suffix of SIDE_FILES) {
    const at = path + suffix;
    places.push({ at, stats: lstatSync(at, { throwIfNoEntry: false }) });
  }
  const pipe = places.find(({ stats }) => stats?.isFIFO() === true);
  if (pipe === undefined) return;
  throw new LitestreamError(`not a file, but a pipe: ${pipe.at}`, {
    code: 'DATABASE_INVALID',
    operation: 'open',
    object: pipe.at,
    hint: 'Remove it: only SQLite creates files beside a database.',
  });
}

const ENDS_TRANSACTION = /^\s*(COMMIT|END|ROLLBACK)\b/i;
/** After one of these alone, SQLite may not have opened the files beside the database yet. */
const MAY_NOT_READ = /^\s*(PRAGMA|BEGIN|COMMIT|END|ROLLBACK)\b/i;

/**
 * Checks for pipes just before each statement of a new connection, until one has read the database. SQLite opens the WAL not when
 * it opens the database, but when it first reads it, which may be much later if a lock is in the way.
 */
export class PipeGuard {
  readonly #path: string;
  #hasRead = false;

  constructor(path: string) {
    refusePipes(path);
    this.#path = path;
  }

  /** Throws as `refusePipes`. The end of a transaction is never refused: a lock would remain. */
  run<T>(sql: string, statement: () => T): T {
    if (this.#hasRead) return statement();
    if (!ENDS_TRANSACTION.test(sql)) refusePipes(this.#path);
    const result = statement();
    this.#hasRead = !MAY_NOT_READ.test(sql);
    return result;
  }
}
