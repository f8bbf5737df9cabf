import { existsSync, linkSync, openSync, closeSync, renameSync, rmSync, statSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { LitestreamError } from '../util/error.ts';
import { OPEN_FOLDER } from '../files/safe-files.ts';
import type { Steps } from '../util/cooperative.ts';
import { durable } from '../util/cooperative.ts';

/** Errors of `link` if the file system, or a policy of the system, does not allow hard links. */
const NO_LINKS: ReadonlySet<string | undefined> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/**
 * Gives a durable temporary file its name, durably, and only if no file has that name: otherwise a second process that
 * replicates the same database could replace transactions that were already uploaded. Throws `ALREADY_EXISTS`.
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
    // The next attempt writes it again under the same name. Not in `catch`: a failed step ends the generator, which
    // runs only `finally`.
    if (!isDurable) rmSync(to, { force: true });
  }
}

/** Inode of the file that has this name now; undefined if there is none. */
export function inodeAt(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

/** Another process writes the local files of this database. */
export function usedByAnother(path: string): LitestreamError {
  return new LitestreamError(`another process replicates this database, its file is already there: ${path}`, {
    code: 'ALREADY_EXISTS',
    retryable: true,
    operation: 'sync',
    object: path,
    hint: 'Stop one of the two processes: run one Litestream per database and metadata folder. Nothing was overwritten.',
  });
}

/** A link fails if the name is taken; a rename would replace that file. */
function claim(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Another process opened the database and removed the temporary file.
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
