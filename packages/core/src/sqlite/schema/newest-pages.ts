import { closeSync, openSync, readSync } from 'node:fs';
import { OPEN_EXISTING } from '../../files/safe-files.ts';
import { FrameLookup } from '../wal/frame-lookup.ts';
import { WAL_FRAME_HEADER_SIZE, WAL_HEADER_SIZE } from '../wal/wal-header.ts';
import type { VisibleWal } from '../wal/wal-index.ts';
import { DATABASE_HEADER_SIZE, parseDatabaseHeader } from '../database-file/database-header.ts';
import type { PageReader } from './table-tree.ts';

/** The pages of a database as the next transaction sees them: from the WAL if a page is there, else from the database file. */
export class NewestPages implements PageReader, Disposable {
  /** Bytes; 0: the database is empty. */
  readonly pageSize: number;
  readonly #databaseFd: number;
  readonly #walFd: number | undefined;
  readonly #frames: FrameLookup | undefined;

  /**
   * @param databaseFd Must not be closed while this process has the database open.
   * @param index Descriptor of the `-shm`, which shows what is visible in the WAL; undefined if the database has no `-shm`.
   */
  constructor(
    path: string,
    databaseFd: number,
    index: { readonly fd: number; readonly visible: VisibleWal } | undefined,
  ) {
    this.#databaseFd = databaseFd;
    // A -shm without a -wal is stale.
    const walFd = index === undefined || index.visible.frameCount === 0 ? undefined : openWal(path);
    if (index === undefined || walFd === undefined) {
      const start = Buffer.alloc(DATABASE_HEADER_SIZE);
      readSync(databaseFd, start, 0, start.length, 0);
      this.pageSize = parseDatabaseHeader(start)?.pageSize ?? 0;
      return;
    }
    this.pageSize = index.visible.pageSize;
    this.#frames = new FrameLookup(index.fd, index.visible.frameCount);
    this.#walFd = walFd;
  }

  read(pgno: number): Buffer | undefined {
    const page = Buffer.alloc(this.pageSize);
    const frame = this.#frames?.find(pgno);
    const size =
      frame === undefined || this.#walFd === undefined
        ? readSync(this.#databaseFd, page, 0, page.length, (pgno - 1) * this.pageSize)
        : readSync(this.#walFd, page, 0, page.length, offsetOf(frame, this.pageSize));
    return size === page.length ? page : undefined;
  }

  [Symbol.dispose](): void {
    if (this.#walFd !== undefined) closeSync(this.#walFd);
  }
}

/** SQLite has no locks on this file: closing the descriptor drops none. */
function openWal(path: string): number | undefined {
  try {
    return openSync(`${path}-wal`, OPEN_EXISTING.read);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function offsetOf(frame: number, pageSize: number): number {
  return WAL_HEADER_SIZE + (frame - 1) * (WAL_FRAME_HEADER_SIZE + pageSize) + WAL_FRAME_HEADER_SIZE;
}
