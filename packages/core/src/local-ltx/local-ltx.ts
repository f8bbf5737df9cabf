import { rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { TXID } from '@litestream/ltx';
import { formatLtxFilename, parseLtxFilename } from '@litestream/ltx';
import { readFileChunks } from '../files/safe-files.ts';
import { makeFolder, requireSafeFolder } from '../files/safe-folders.ts';
import { namesIn, removeFiles } from '../files/temporary-files.ts';
import type { Ownership } from '../files/safe-files.ts';

/** One local LTX file. */
export interface LocalLtxFile {
  readonly minTxid: TXID;
  readonly maxTxid: TXID;
  readonly path: string;
}

/** The ownership for files beside this database. */
export function ownershipAt(path: string): Ownership {
  const file = statSync(path);
  return {
    fileMode: file.mode & 0o777,
    folderMode: statSync(dirname(path)).mode & 0o777,
    uid: file.uid,
    gid: file.gid,
  };
}

/**
 * The local LTX files of one level of one database: `<metaPath>/ltx/<level>/<min>-<max>.ltx`, as Litestream (Go) names
 * them.
 */
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
    return readFileChunks(this.path(minTxid, maxTxid));
  }

  /**
   * Creates the folder if necessary. Throws `FOLDER_UNSAFE` if it, or one above it in the metadata folder, is not ours.
   */
  makeFolder(ownership: Ownership): void {
    this.requireSafe(ownership);
    makeFolder(this.folder, ownership);
  }

  /** Throws `FOLDER_UNSAFE` as `makeFolder` does. */
  requireSafe(ownership: Ownership): void {
    const parent = dirname(this.folder);
    for (const folder of [dirname(parent), parent, this.folder]) requireSafeFolder(folder, ownership);
  }

  /** Deletes a file. A missing file is no error. */
  delete(minTxid: TXID, maxTxid: TXID): void {
    rmSync(this.path(minTxid, maxTxid), { force: true });
  }

  /** Deletes every file of the level. Throws `FOLDER_UNSAFE` as `makeFolder` does. */
  clear(ownership: Ownership): void {
    this.requireSafe(ownership);
    const parent = dirname(this.folder);
    const folder = [dirname(parent), basename(parent), basename(this.folder)] as const;
    removeFiles(folder, ownership, (name) => parseLtxFilename(name) !== undefined);
  }
}

/** The local files of all levels of one database. */
export class LocalLevels {
  readonly #metaPath: string;
  readonly #levels = new Map<number, LocalLtx>();

  constructor(metaPath: string) {
    this.#metaPath = metaPath;
  }

  at(level: number): LocalLtx {
    let local = this.#levels.get(level);
    if (local === undefined) this.#levels.set(level, (local = new LocalLtx(this.#metaPath, level)));
    return local;
  }
}
