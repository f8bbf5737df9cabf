import { existsSync, linkSync, openSync, closeSync, renameSync, rmSync, statSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { LitestreamError } from '../util/error.ts';
import { OPEN_FOLDER } from '../files/safe-files.ts';
import type { Steps } from '../util/cooperative.ts';
import { durable } from '../util/cooperative.ts';

/** What `link` answers where the file system, or the system's policy, has no hard links. */
const NO_LINKS: ReadonlySet<string | undefined> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/**
 * Gives a durable temporary file its name, durably, and only if nobody has given that name to another: a second process
 * that follows the same database would otherwise replace transactions that were already sent. Throws `ALREADY_EXISTS`.
 */
export function* publishDurably(from: string, to: string): Steps<void> {
  claim(from, to);
  let isDurable = false;
  try {
    const folder = openSync(dirname(to), OPEN_FOLDER);
    try {
      yield durable(folder);
    } finally {
      closeSync(folder);
    }
    isDurable = true;
  } finally {
    // It is written again under the same name. Not by `catch`: steps that fail are ended where they stand.
    if (!isDurable) rmSync(to, { force: true });
  }
}

/** The file that has this name now, as a number; undefined if there is none. */
export function inodeAt(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

/** Somebody else writes the local files of this database. */
export function usedByAnother(path: string): LitestreamError {
  return new LitestreamError(`another process replicates this database, its file is already there: ${path}`, {
    code: 'ALREADY_EXISTS',
    retryable: true,
    operation: 'sync',
    object: path,
    hint: 'Stop one of the two: each database, and each metadata folder, is for one Litestream. Nothing was overwritten.',
  });
}

/** A link fails where the name is taken; a rename would replace what has it. */
function claim(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // The temporary file is gone when another process has opened the database, and cleaned up.
    if (code === 'EEXIST' || (code === 'ENOENT' && !existsSync(from))) {
      rmSync(from, { force: true });
      throw usedByAnother(to);
    }
    if (!NO_LINKS.has(code)) throw error;
    if (existsSync(to)) throw usedByAnother(to);
    renameSync(from, to);
    return;
  }
  try {
    unlinkSync(from);
  } catch (error) {
    rmSync(to, { force: true });
    throw error;
  }
}
