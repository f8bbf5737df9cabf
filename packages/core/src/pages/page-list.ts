import { lockPageNumber } from '@litestream/ltx';
import type { PageList } from './page-source.ts';

/** Every page of a database of `commit` pages: from its WAL frame if there is one, from the database file otherwise. */
export function listAllPages(pageSize: number, commit: number, frames: ReadonlyMap<number, number>): PageList {
  const lockPage = lockPageNumber(pageSize);
  const count = commit >= lockPage ? commit - 1 : commit;
  const pgnos = new Uint32Array(count);
  const walOffsets = new Float64Array(count);
  for (let pgno = 1, index = 0; pgno <= commit; pgno++) {
    if (pgno === lockPage) continue;
    pgnos[index] = pgno;
    walOffsets[index] = frames.get(pgno) ?? 0;
    index++;
  }
  return { pgnos, walOffsets };
}

/**
 * Pages that a database gained as it grew, but that have no frame. SQLite does not write a page that it frees at once.
 */
export function unwrittenPages(
  pageSize: number,
  commits: { before: number; after: number },
  frames: ReadonlyMap<number, number>,
): number[] {
  const lockPage = lockPageNumber(pageSize);
  const missing: number[] = [];
  for (let pgno = commits.before + 1; pgno <= commits.after; pgno++) {
    if (pgno !== lockPage && !frames.has(pgno)) missing.push(pgno);
  }
  return missing;
}

/** The pages of these frames, ascending. */
export function listPages(frames: ReadonlyMap<number, number>): PageList {
  const pgnos = Uint32Array.from(frames.keys()).sort();
  const walOffsets = Float64Array.from(pgnos, (pgno) => frames.get(pgno) as number);
  return { pgnos, walOffsets };
}
