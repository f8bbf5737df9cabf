/** Keeps free space on a disk for the application (docs/decisions/0027-disk-space.md). */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { LitestreamError } from '../../util/error.ts';
import type { LtxContent, LtxJob } from './write-ltx.ts';
import type { Steps } from '../../util/cooperative.ts';
import { measureLtx } from './stream-ltx.ts';

const GIB = 1024 ** 3;
const RESERVE_SHARE = 0.1;

/** Bytes of a file system. */
export interface Room {
  /** Bytes that an unprivileged process may still use. */
  readonly free: number;
  readonly total: number;
}

/** Space of the file system that an existing folder is on; `undefined` if the system does not report it. */
export function roomIn(folder: string): Room | undefined {
  const { bsize, bavail, blocks } = statfsSync(folder);
  const total = blocks * bsize;
  // Some FUSE file systems report nothing.
  return total > 0 ? { free: bavail * bsize, total } : undefined;
}

/**
 * Is there so much room that an optional file of this size is no risk to the application? A tenth of the file system,
 * and 1 GiB at least, must stay free.
 */
export function hasAmpleRoom(folder: string, size: number): boolean {
  const room = roomIn(folder);
  return room === undefined || room.free - size >= Math.max(room.total * RESERVE_SHARE, GIB);
}

/** Upper bound of the file's size in bytes: its size if no page can be compressed. */
export function ltxSizeMax({ header, list }: LtxContent): number {
  const { pageSize } = header;
  // Header and size of a frame, the bound of an LZ4 block, and three numbers in the index; then header, ends and trailer.
  const pageMax = 10 + pageSize + Math.ceil(pageSize / 255) + 16 + 24;
  return list.pgnos.length * pageMax + 256;
}

/**
 * Returns a `DISK_FULL` if the file would not leave a tenth of the file system, or 1 GiB where that is less, to the
 * application. For files that hold a whole database, before any of it is written. Only if space is tight are the pages
 * read once more, to learn the exact size.
 */
export function* refuseWithoutRoom(job: LtxJob): Steps<LitestreamError | undefined> {
  const folder = dirname(job.temporaryPath);
  const room = roomIn(folder);
  if (room === undefined) return undefined;
  const left = room.free - Math.min(room.total * RESERVE_SHARE, GIB);
  if (ltxSizeMax(job) <= left) return undefined;
  const size = yield* measureLtx(job);
  return size > left ? noRoomError(folder, size, room, room.free - left) : undefined;
}

function noRoomError(folder: string, size: number, room: Room, reserve: number): LitestreamError {
  return new LitestreamError(
    `the local file of the whole database needs ${text(size)}, and ${text(reserve)} are left to the application, but ${text(room.free)} are free: ${folder}`,
    {
      code: 'DISK_FULL',
      retryable: true,
      operation: 'sync',
      object: folder,
      hint: 'Free some space, or set meta-path to a folder on another disk. Replication continues by itself.',
    },
  );
}

/** The WAL grew so much under the read transaction of a snapshot that the application may run out of space. */
export function walTooLongError(path: string, grown: number, free: number): LitestreamError {
  return new LitestreamError(
    `the snapshot was aborted: the -wal file grew by ${text(grown)} meanwhile, and ${text(free)} are free: ${path}`,
    {
      code: 'DISK_FULL',
      retryable: true,
      operation: 'snapshot',
      object: path,
      hint: 'Free some space, or set staging-path to a folder on a disk with room: then the upload does not keep the WAL from restarting.',
    },
  );
}

/** `36.2 MB` */
function text(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
