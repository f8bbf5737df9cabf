/** Files that Litestream keeps beside a database: `<meta>/ltx/<level>/<min>-<max>.ltx`. */
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { TXID } from '@litestream/ltx';
import { parseLtxFilename } from '@litestream/ltx';

/** Folder of the local state of a database, unless the config names another. */
export function defaultMetaPath(path: string): string {
  return join(dirname(path), `.${basename(path)}-litestream`);
}

/** The folder of local LTX files. */
export function ltxFolder(metaPath: string): string {
  return join(metaPath, 'ltx');
}

/** The highest TXID of the local level-0 files; 0 without files. */
export function localTxid(metaPath: string): TXID {
  let highest = 0n;
  for (const name of entriesOf(join(ltxFolder(metaPath), '0'))) {
    const found = parseLtxFilename(name);
    if (found !== undefined && found.maxTxid > highest) highest = found.maxTxid;
  }
  return highest;
}

/** Every file below a folder, parents before children, names in order. */
export function filesBelow(folder: string): string[] {
  return entriesOf(folder).flatMap((name) => {
    const path = join(folder, name);
    return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? filesBelow(path) : [path];
  });
}

/** Not `rmSync`: in Node 24 it stops without an error if another process removes a file at the same time. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

/** Bytes of a file; undefined if it does not exist. */
export function sizeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
