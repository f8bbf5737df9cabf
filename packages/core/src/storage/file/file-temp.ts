/** Names of files that are being written. Listings hide them, and no LTX or object has such a name. */
import { lstat, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export const TEMP_MARK = '.tmp-';
/** Mark of lock files beside objects that are being replaced. */
export const LOCK_MARK = '.lock~';
/** Suffix of the temporary files of Litestream (Go), which it leaves behind when it is killed. */
const GO_TEMP_SUFFIX = '.tmp';

/** Temporary names, ours and those of Litestream (Go), begin with the file's final name. */
const LTX_TEMP = /\.ltx\./;

export function isTempName(name: string): boolean {
  return name.includes(TEMP_MARK) || name.endsWith(GO_TEMP_SUFFIX) || name.endsWith(LOCK_MARK);
}

/**
 * Removes temporary files of LTX files older than `ageMs` from a folder: another process may still be writing younger
 * ones. Leaves files that it cannot read or remove, and other files; never rejects. Skips a folder that is a link,
 * since it may lead anywhere.
 */
export async function removeStaleTemps(folder: string, ageMs: number, nowMs: number): Promise<void> {
  let names: string[];
  try {
    for (const path of [dirname(folder), folder]) if ((await lstat(path)).isSymbolicLink()) return;
    names = await readdir(folder);
  } catch {
    return; // missing, or not readable: a write reports that at its next step
  }
  for (const name of names.filter((each) => isTempName(each) && LTX_TEMP.test(each))) {
    const path = join(folder, name);
    try {
      // Not the mtime: it is set to the time of the commits before the rename, or came with a link.
      if (nowMs - (await lstat(path)).ctimeMs >= ageMs) await rm(path, { force: true });
    } catch {
      continue; // its writer has just finished, or it belongs to another user
    }
  }
}
