import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { OPEN_EXISTING } from '../../files/safe-files.ts';
import type { WalHeader } from './wal-header.ts';
import { WAL_HEADER_SIZE, decodeWalHeader } from './wal-header.ts';

/**
 * The WAL file of a database, open for reading.
 *
 * SQLite takes no POSIX locks on the WAL, so closing this descriptor is harmless, unlike one of the database or `-shm`.
 * The file disappears when the last connection of a database closes and comes back as a new one, so each look by path
 * compares the inode.
 */
export class WalFile {
  readonly path: string;
  #fd: number | undefined;
  #inode: bigint | undefined;
  readonly #headerBytes = new Uint8Array(WAL_HEADER_SIZE);

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Opens the file that is at the path now. `exists` is false if there is none. `replaced`: another file was open
   * before. A file that was deleted while it is open stays open: SQLite still writes to it.
   */
  refresh(): { exists: boolean; replaced: boolean } {
    const stat = statSync(this.path, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return { exists: this.#fd !== undefined, replaced: false };
    if (stat.ino === this.#inode) return { exists: true, replaced: false };
    const replaced = this.#fd !== undefined;
    this.close();
    this.#fd = openSync(this.path, OPEN_EXISTING.read);
    this.#inode = fstatSync(this.#fd, { bigint: true }).ino;
    return { exists: true, replaced };
  }

  /** Is another file at the path than the one that is open? False if there is none: SQLite may still write to ours. */
  isReplaced(): boolean {
    if (this.#fd === undefined) this.refresh();
    const stat = statSync(this.path, { bigint: true, throwIfNoEntry: false });
    return stat !== undefined && this.#inode !== undefined && stat.ino !== this.#inode;
  }

  /** Was the file that is open deleted? */
  isDeleted(): boolean {
    return this.#fd !== undefined && statSync(this.path, { throwIfNoEntry: false }) === undefined;
  }

  /** The descriptor, from which a worker can read. */
  get fd(): number {
    if (this.#fd === undefined) throw new Error(`not open: ${this.path}`);
    return this.#fd;
  }

  /** Do both have the same file open? */
  isSameFile(other: WalFile): boolean {
    return this.#inode !== undefined && this.#inode === other.#inode;
  }

  /** Inode of the open file. */
  get inode(): bigint | undefined {
    return this.#inode;
  }

  get isOpen(): boolean {
    return this.#fd !== undefined;
  }

  /** Bytes of the file. Says nothing about how many of them are in use: it does not shrink when the WAL restarts. */
  size(): number {
    return this.#fd === undefined ? 0 : fstatSync(this.#fd).size;
  }

  /** The header as it is now; undefined if the file is gone, empty, or its header was written only in part. */
  header(): WalHeader | undefined {
    if (this.#fd === undefined) return undefined;
    const count = readSync(this.#fd, this.#headerBytes, 0, WAL_HEADER_SIZE, 0);
    return count < WAL_HEADER_SIZE ? undefined : decodeWalHeader(this.#headerBytes);
  }

  /** Are these salts at the offset? */
  hasSaltsAt(offset: number, salts: { readonly salt1: number; readonly salt2: number }): boolean {
    const bytes = Buffer.alloc(8);
    if (this.#fd === undefined || this.read(bytes, offset) < bytes.length) return false;
    return bytes.readUInt32BE(0) === salts.salt1 && bytes.readUInt32BE(4) === salts.salt2;
  }

  /** Reads into `target` from `offset`; fewer bytes at the end of the file. */
  read(target: Uint8Array, offset: number): number {
    let done = 0;
    while (done < target.length) {
      const count = readSync(this.fd, target, done, target.length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    this.#inode = undefined;
  }
}
