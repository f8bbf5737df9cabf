/**
 * The locks that SQLite takes when this process opens a database in WAL mode: shared, on the database file and on the
 * `-shm`. It takes them once for all connections. So once something dropped them (`close` of any other descriptor of
 * the file drops them, fcntl(2)), they do not come back while a connection is open.
 *
 * Linux lists the locks of a descriptor in `/proc/self/fdinfo`. `/proc/locks` has the same lines, but a reader of it
 * waits for every processor, 10 to 20 ms (`percpu_down_write` in the kernel's `fs/locks.c`).
 */
import { readFileSync } from 'node:fs';
import { DEAD_MAN_SWITCH, SHARED_START, includesByte, parseLock } from './file-locks.ts';
import { listOpenFiles, readOpenFiles } from './open-files.ts';
import type { OpenFiles } from './open-files.ts';

export class OpeningLocks {
  readonly #database: OwnLock;
  readonly #shm: OwnLock;

  private constructor(database: OwnLock, shm: OwnLock) {
    this.#database = database;
    this.#shm = shm;
  }

  /** Undefined where the system does not list them. Call while a connection is open. */
  static async find(databaseInode: bigint, shmInode: bigint): Promise<OpeningLocks | undefined> {
    const files = await listOpenFiles();
    const database = new OwnLock(databaseInode, SHARED_START);
    const shm = new OwnLock(shmInode, DEAD_MAN_SWITCH);
    if (files === undefined || !database.isAmong(files) || !shm.isAmong(files)) return undefined;
    return new OpeningLocks(database, shm);
  }

  /** Holds this process both locks, and has it held them since they were found? */
  areHeld(): boolean {
    return this.#database.isHeld() && this.#shm.isHeld();
  }
}

/** One lock of this process. */
class OwnLock {
  readonly #inode: bigint;
  /** Offset in the file of a byte that it includes. */
  readonly #byte: number;
  /** The descriptor that it was taken with, when it was last looked for. */
  #fd: number | undefined;

  constructor(inode: bigint, byte: number) {
    this.#inode = inode;
    this.#byte = byte;
  }

  isHeld(): boolean {
    if (this.#fd !== undefined && this.#isTakenWith(this.#fd)) return true;
    const files = readOpenFiles();
    return files !== undefined && this.isAmong(files);
  }

  /** The same, with a list of the open files that is at hand. */
  isAmong(files: OpenFiles): boolean {
    this.#fd = files.descriptorsOf(this.#inode).find((fd) => this.#isTakenWith(fd));
    return this.#fd !== undefined;
  }

  #isTakenWith(fd: number): boolean {
    let text: string;
    try {
      text = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
    } catch {
      return false; // Closed meanwhile, or not Linux.
    }
    return text.split('\n').some((line) => {
      const lock = line.startsWith('lock:') ? parseLock(line.slice('lock:'.length).trim()) : undefined;
      return lock !== undefined && lock.inode === this.#inode && includesByte(lock, this.#byte);
    });
  }
}
