/** A restore or a follower may only replace regular files. Anything else under these names has another purpose. */
import type { Stats } from 'node:fs';
import { lstat, realpath } from 'node:fs/promises';
import { LitestreamError } from '../../util/error.ts';
import { fault } from '../read/ltx-errors.ts';
import { SIDECAR_SUFFIXES } from './sidecars.ts';

/** SQLite's files, and those of a follower. */
const SUFFIXES: readonly string[] = ['', ...SIDECAR_SUFFIXES, '-txid', '-txid-target'];

/**
 * Rejects with `OUTPUT_EXISTS` if the output, or a file beside it, is a folder, a link, a device, a pipe or a socket: a
 * new file under its name would take the place of `/dev/null`, or leave the file that a link leads to as it was.
 */
export async function requireReplaceable(path: string): Promise<void> {
  for (const suffix of SUFFIXES) {
    const stats = await lstatOrNothing(path + suffix);
    if (stats === undefined || stats.isFile()) continue;
    const what = suffix === '' ? 'output path' : 'path beside the output';
    throw new LitestreamError(`cannot restore, ${what} is ${kindOf(stats)}: ${path}${suffix}`, {
      code: 'OUTPUT_EXISTS',
      operation: 'restore',
      object: path + suffix,
      hint: suffix === '' ? await adviceOn(path, stats) : 'Move it away, or choose another output.',
    });
  }
}

async function adviceOn(path: string, stats: Stats): Promise<string> {
  if (stats.isDirectory()) return 'Give the path of the database file.';
  const target = stats.isSymbolicLink() ? await realpath(path).catch(() => undefined) : undefined;
  if (target !== undefined) return `Give the path that it leads to: ${target}`;
  return 'Give the path of a regular file, or of one that does not exist yet.';
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isSymbolicLink()) return 'a symbolic link';
  if (stats.isFIFO()) return 'a named pipe';
  return stats.isSocket() ? 'a socket' : 'a device';
}

/** Status of the name itself, not of the target of a link. */
export async function lstatOrNothing(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fault(path, error);
  }
}
