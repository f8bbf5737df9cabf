/**
 * Which pages already have their newest version: one bit a page, so 32 MiB for a database of 1 TiB with 4 KiB pages.
 * Files claim from the newest to the oldest; the first one owns a page.
 */
export class PageClaims {
  readonly #bits: Uint8Array;
  readonly #commit: number;
  readonly #lockPage: number;
  #missing: number;

  /** `commit`: pages of the final database. */
  constructor(commit: number, lockPage: number) {
    this.#bits = new Uint8Array(Math.ceil((commit + 1) / 8));
    this.#commit = commit;
    this.#lockPage = lockPage;
    this.#missing = commit >= lockPage ? commit - 1 : commit;
  }

  /** True for the first claim of this page, unless it is the lock page or past the end of the database. */
  claim(pgno: number): boolean {
    if (pgno > this.#commit || pgno === this.#lockPage) return false;
    const byte = this.#bits[pgno >>> 3] ?? 0;
    const bit = 1 << (pgno & 7);
    if ((byte & bit) !== 0) return false;
    this.#bits[pgno >>> 3] = byte | bit;
    this.#missing--;
    return true;
  }

  /** Pages no file has claimed yet. */
  get missing(): number {
    return this.#missing;
  }

  /** The lowest page from `from` on that no file has claimed, 0 if every one is. */
  firstMissing(from = 1): number {
    if (this.#missing === 0) return 0;
    for (let pgno = from; pgno <= this.#commit; pgno++) {
      const claimed = ((this.#bits[pgno >>> 3] ?? 0) & (1 << (pgno & 7))) !== 0;
      if (!claimed && pgno !== this.#lockPage) return pgno;
    }
    return 0;
  }
}
