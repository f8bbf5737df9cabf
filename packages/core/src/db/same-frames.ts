import { setImmediate as nextTurn } from 'node:timers/promises';
import { isLtxError } from '@litestream/ltx';
import type { WalFile } from '../wal/wal-file.ts';
import { WAL_FRAME_HEADER_SIZE, sameSalts } from '../wal/wal-header.ts';
import type { LocalLtx } from './local-ltx.ts';
import { LocalPages } from './local-pages.ts';
import type { LastFile } from './session.ts';

/** Pages that are compared at most: a log is seldom longer, and the newest files come first. */
const PAGES_MAX = 16_384;
const PAGES_PER_TURN = 256;

/**
 * Are these frames, each the newest of its page up to the end of the last file, those that the local files of this
 * generation of the log were cut from?
 *
 * A database that was put back from a copy of its files goes on under the same salts: after as many frames as before,
 * and with an equal page at the end, its log looks like the one that was read, and holds another history.
 */
export async function areFramesOfFiles(
  frames: ReadonlyMap<number, number>,
  from: { readonly wal: WalFile; readonly level0: LocalLtx; readonly last: LastFile },
): Promise<boolean> {
  const { wal, level0, last } = from;
  // What lies past the end of the database was left out of the files.
  const unknown = new Map([...frames].filter(([pgno]) => pgno <= last.commit));
  let left = PAGES_MAX;
  const page = new Uint8Array(last.pageSize);
  for (const { path } of level0.list().reverse()) {
    try {
      using file = new LocalPages(path);
      if (!sameSalts(file.header, last)) return true;
      for (const [pgno, offset] of unknown) {
        const known = await file.read(pgno);
        if (known === undefined) continue;
        unknown.delete(pgno);
        if (wal.read(page, offset + WAL_FRAME_HEADER_SIZE) < page.length) return false;
        if (Buffer.compare(known, page) !== 0) return false;
        left--;
        if (left === 0) return true;
        if (left % PAGES_PER_TURN === 0) await nextTurn();
      }
      if (unknown.size === 0) return true;
    } catch (error) {
      // The newest file was verified; an older one that is damaged says nothing.
      if (isLtxError(error)) return true;
      throw error;
    }
  }
  return true;
}
