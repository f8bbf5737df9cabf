import { lstatSync, statSync } from 'node:fs';
import { LitestreamError } from '../error.ts';

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
