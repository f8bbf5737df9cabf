import { lockPageNumber } from './constants.ts';
import { LtxError } from './error.ts';
import type { LtxErrorCode } from './error.ts';
import { isSnapshot } from './header.ts';
import type { LtxHeader } from './header.ts';

/**
 * Checks the rules for page numbers in a file, for writing and reading: ascending, within the database, never the lock
 * page, and without gaps in a snapshot.
 */
export class PageOrder {
  readonly #commit: number;
  readonly #lock: number;
  readonly #snapshot: boolean;
  #last = 0;
  #count = 0;

  constructor(header: LtxHeader) {
    this.#commit = header.commit;
    this.#lock = lockPageNumber(header.pageSize);
    this.#snapshot = isSnapshot(header);
  }

  /** Pages so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Checks the next pages. Throws `LtxError` with this code; `place` returns the offset of the i-th page for errors.
   */
  next(
    pgnos: ArrayLike<number>,
    code: LtxErrorCode,
    place: (i: number) => { file?: string | undefined; offset?: number | undefined },
  ): void {
    let last = this.#last;
    for (let i = 0; i < pgnos.length; i += 1) {
      const pgno = pgnos[i] ?? 0;
      const fault = this.#fault(pgno, last);
      if (fault !== undefined) throw new LtxError(code, fault, place(i));
      last = pgno;
    }
    this.#last = last;
    this.#count += pgnos.length;
  }

  /** Throws unless a snapshot is complete. */
  end(place: { file?: string | undefined; offset?: number | undefined }): void {
    if (!this.#snapshot) return;
    const missing = this.#after(this.#last);
    if (missing <= this.#commit) {
      throw new LtxError('BAD_PAGE', `snapshot of ${this.#commit} pages ends before page ${missing}`, place);
    }
  }

  #fault(pgno: number, last: number): string | undefined {
    if (pgno === this.#lock) return `page ${pgno} is the lock page, which is never written`;
    if (pgno === 0 || pgno > this.#commit) return `page ${pgno} outside a database of ${this.#commit} pages`;
    if (pgno <= last) return `page ${pgno} after page ${last}, out of order`;
    if (this.#snapshot && pgno !== this.#after(last)) return `page ${pgno} after page ${last}, a gap in a snapshot`;
    return undefined;
  }

  #after(pgno: number): number {
    return pgno + 1 === this.#lock ? pgno + 2 : pgno + 1;
  }
}
