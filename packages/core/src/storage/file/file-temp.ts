/** Names of files that are being written. No listing shows them, no LTX or object name looks like them. */
import { lstat, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export const TEMP_MARK = '.tmp-';
/** Of the lock files beside objects that are being replaced. */
export const LOCK_MARK = '.lock~';
/** What upstream calls its own; it leaves them behind when it is killed. */
const GO_TEMP_SUFFIX = '.tmp';

/** Temporary names, ours and those of Litestream (Go), begin with the file's final name. */
const LTX_TEMP = /\.ltx\./;

export function isTempName(name: string): boolean {
  return name.includes(TEMP_MARK) || name.endsWith(GO_TEMP_SUFFIX) || name.endsWith(LOCK_MARK);
}

/**
 * Removes temporary files of LTX files older than `ageMs` from a folder: what is younger, another process may still be
 * writing. Leaves files that it cannot read or remove, and files of others; never rejects. Skips a folder that is a link,
 * since it may lead anywhere.
 */
export async function removeStaleTemps(folder: string, ageMs: number, nowMs: number): Promise<void> {
  let names: string[];
  try {
    for (const path of [dirname(folder), folder]) if ((await lstat(path)).isSymbolicLink()) return;
    names = await readdir(folder);
  } catch {
    return; // not there yet, or not ours to list: whoever writes here is told why at the next step
  }
  for (const name of names.filter((each) => isTempName(each) && LTX_TEMP.test(each))) {
    const path = join(folder, name);
    try {
      // Not the mtime: that is set to the time of the commits before the file is in its place, or came with a link.
      if (nowMs - (await lstat(path)).ctimeMs >= ageMs) await rm(path, { force: true });
    } catch {
      continue; // its writer has just finished, or it is somebody else's
    }
  }
}
