import { chmodSync, chownSync, createReadStream, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TXID } from '@litestream/ltx';
import { formatLtxFilename, parseLtxFilename } from '@litestream/ltx';

/** One local LTX file. */
export interface LocalLtxFile {
  readonly minTxid: TXID;
  readonly maxTxid: TXID;
  readonly path: string;
}

/** Owner and permissions of what is made beside a database: the database's own. */
export interface Ownership {
  readonly fileMode: number;
  readonly folderMode: number;
  readonly uid: number;
  readonly gid: number;
}

/** The ownership that is due to what lies beside this database. */
export function ownershipAt(path: string): Ownership {
  const file = statSync(path);
  return {
    fileMode: file.mode & 0o777,
    folderMode: statSync(dirname(path)).mode & 0o777,
    uid: file.uid,
    gid: file.gid,
  };
}

/** The local LTX files of one level of one database: `<metaPath>/ltx/<level>/<min>-<max>.ltx`, as upstream names them. */
export class LocalLtx {
  readonly folder: string;
  readonly level: number;

  constructor(metaPath: string, level: number) {
    this.level = level;
    this.folder = join(metaPath, 'ltx', String(level));
  }

  path(minTxid: TXID, maxTxid: TXID): string {
    return join(this.folder, formatLtxFilename(minTxid, maxTxid));
  }

  /** All files, ascending by TXID. A folder that does not exist is empty. Files with other names are not LTX files. */
  list(): LocalLtxFile[] {
    return namesIn(this.folder)
      .flatMap((name) => {
        const range = parseLtxFilename(name);
        return range === undefined ? [] : [{ ...range, path: join(this.folder, name) }];
      })
      .sort((a, b) => Number(a.minTxid - b.minTxid) || Number(a.maxTxid - b.maxTxid));
  }

  /** The file with the highest TXID. */
  last(): LocalLtxFile | undefined {
    return this.list().reduce<LocalLtxFile | undefined>(
      (last, file) => (last === undefined || file.maxTxid > last.maxTxid ? file : last),
      undefined,
    );
  }

  /** Bytes of a file, or undefined if it is not there. */
  size(minTxid: TXID, maxTxid: TXID): number | undefined {
    return statSync(this.path(minTxid, maxTxid), { throwIfNoEntry: false })?.size;
  }

  /** The bytes of a file, from its start. Iterating rejects with `ENOENT` if it is gone. */
  open(minTxid: TXID, maxTxid: TXID): AsyncIterable<Uint8Array> {
    return createReadStream(this.path(minTxid, maxTxid));
  }

  /** Deletes a file. One that is gone is no error. */
  delete(minTxid: TXID, maxTxid: TXID): void {
    rmSync(this.path(minTxid, maxTxid), { force: true });
  }

  /** Deletes every file of the level. */
  clear(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Makes a folder and those above it, with this ownership where the system allows it. */
export function makeFolder(path: string, ownership: Ownership): void {
  const first = makeFolders(path, ownership.folderMode);
  if (first === undefined) return;
  for (let folder = path; folder.length >= first.length; folder = dirname(folder))
    own(folder, ownership.folderMode, ownership);
}

/** The first one that was made. */
function makeFolders(path: string, mode: number): string | undefined {
  try {
    return mkdirSync(path, { recursive: true, mode });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    // What Node says of a read-only file system, too, when it makes several: the one alone fails with the true reason.
    mkdirSync(path, { mode });
    return path;
  }
}

/** Gives a file or folder the database's owner. Only the superuser may change it, and for others nothing is to change. */
export function own(path: string, mode: number, ownership: Ownership): void {
  chmodSync(path, mode);
  if (process.getuid?.() === 0) chownSync(path, ownership.uid, ownership.gid);
}

/** Removes what a crash left: every file below the folder whose name ends in `.tmp`. */
export function removeTemporaryFiles(folder: string): void {
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    if (name.endsWith('.tmp')) rmSync(path, { recursive: true, force: true });
    else if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) removeTemporaryFiles(path);
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
