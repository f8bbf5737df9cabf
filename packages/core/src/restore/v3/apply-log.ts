import { readSync, writeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { WAL_FRAME_HEADER_SIZE, WAL_HEADER_SIZE } from '../../sqlite/wal/wal-header.ts';
import { scanWal } from '../../sqlite/wal/wal-scan.ts';
import { WalFile } from '../../sqlite/wal/wal-file.ts';
import { corrupt } from '../read/ltx-errors.ts';

/** Pages copied before the event loop turns. */
const TURN_PAGE_COUNT = 256;

/**
 * Applies a WAL to a database file as SQLite's checkpoint does: writes each page's last committed frame, and truncates
 * the file to the size of the last commit. Frames that do not belong to the WAL, or to a commit, are left out. Returns
 * how many pages were written.
 */
export async function applyWal(
  log: { readonly path: string; readonly name: string },
  output: number,
  options: { readonly truncate: (size: number) => Promise<void>; readonly signal?: AbortSignal | undefined },
): Promise<number> {
  const wal = new WalFile(log.path);
  wal.refresh();
  try {
    const header = wal.header();
    // The WAL holds no commit.
    if (header === undefined && wal.size() < WAL_HEADER_SIZE) return 0;
    if (header === undefined) throw corrupt(log.name, 'is not a WAL');
    const { pageSize } = header;
    if (pageSize !== databasePageSize(output)) {
      throw corrupt(log.name, `its page size is ${pageSize}, that of the snapshot ${databasePageSize(output)}`);
    }
    const scan = scanWal(wal, header, { offset: WAL_HEADER_SIZE, sums: header });
    let step = scan.next();
    while (step.done !== true) {
      options.signal?.throwIfAborted();
      await nextTurn();
      step = scan.next();
    }
    const { pages, commit } = step.value;
    if (commit === 0) return 0;
    const page = Buffer.alloc(pageSize);
    let count = 0;
    for (const [pgno, offset] of [...pages].sort(([a], [b]) => a - b)) {
      wal.read(page, offset + WAL_FRAME_HEADER_SIZE);
      writePage(output, page, (pgno - 1) * pageSize);
      if (++count % TURN_PAGE_COUNT !== 0) continue;
      options.signal?.throwIfAborted();
      await nextTurn();
    }
    await options.truncate(commit * pageSize);
    return count;
  } finally {
    wal.close();
  }
}

function writePage(descriptor: number, page: Uint8Array, position: number): void {
  for (let done = 0; done < page.length;) {
    done += writeSync(descriptor, page, done, page.length - done, position + done);
  }
}

/** Page size of the database in a file, from its header; 0 for a file that is too short. */
export function databasePageSize(descriptor: number): number {
  const bytes = Buffer.alloc(2);
  if (readSync(descriptor, bytes, 0, 2, 16) < 2) return 0;
  const stored = bytes.readUInt16BE(0);
  return stored === 1 ? 65_536 : stored;
}
