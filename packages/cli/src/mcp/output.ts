/** Where `litestream_restore` may write: a new file in the folder that the config names, and nothing else. */
import { lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { distrust, LitestreamError } from '@litestream/core';

/** SQLite treats files with these suffixes as parts of another database. */
const SIDE_FILE = /-(?:wal|shm|journal)$/;

/**
 * The path to restore to. The restore itself refuses a file that exists there: it creates its output and never opens an
 * existing one.
 *
 * @param folder `mcp-output-dir`
 * @param wanted A name, or the absolute path of a file directly in the folder. Default: the name of the database.
 * @throws LitestreamError `INVALID_ARGUMENT`, or `CONFIG_INVALID` for a folder that cannot be trusted
 */
export function outputPath(folder: string | undefined, wanted: string | undefined, database: string): string {
  if (folder === undefined) {
    throw new LitestreamError('restore needs a folder to write into', {
      code: 'CONFIG_INVALID',
      hint: 'Set mcp-output-dir in the config.',
    });
  }
  const real = trusted(folder);
  const path = resolve(real, wanted ?? basename(database));
  const name = basename(path);
  const isRight =
    [real, folder].includes(dirname(path)) && name !== '' && !name.startsWith('.') && !name.includes('\0');
  const isLink = lstatSync(join(real, name), { throwIfNoEntry: false })?.isSymbolicLink() === true;
  if (isRight && !isLink && !SIDE_FILE.test(name)) return join(real, name);
  throw new LitestreamError(`o must be a file name, or the path of a file directly in ${folder}, and not a link`, {
    code: 'INVALID_ARGUMENT',
    hint: 'Leave it out for the name of the database.',
  });
}

/** Checks the folder: a user who could create links in it could make Litestream create files elsewhere. */
function trusted(folder: string): string {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  const refuse = (what: string): LitestreamError =>
    new LitestreamError(`mcp-output-dir ${folder} ${what}`, {
      code: 'CONFIG_INVALID',
      hint: 'Name a folder that belongs to the user of litestream, and that others cannot write to.',
    });
  if (stats === undefined || !stats.isDirectory()) throw refuse('is not a folder');
  // A user who can write to a folder above could replace this one by a link.
  const reason = distrust(folder, new Set([0, process.geteuid?.() ?? 0]));
  if (reason !== undefined) throw refuse(`cannot be trusted: ${reason}`);
  return realpathSync(folder);
}
