/**
 * The page ledger of one database: loaded when a transaction needs it, and released when the database is idle. It is used only
 * for the level-0 file whose database checksum it proves.
 */
import { isLtxError, kernel, LtxDecoder } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LocalLtx } from '../local-ltx/local-ltx.ts';
import type { LastFile } from '../local-ltx/last-file.ts';
import { readFileChunks } from '../files/safe-files.ts';
import type { Ownership } from '../files/safe-files.ts';
import type { Logger } from '../util/logger.ts';
import { readLedger, removeLedger, writeLedger } from './ledger-file.ts';
import { PageLedger } from '../pages/page-ledger.ts';

/** Pages of one state of a database, ascending and without the lock page, and their checksums. */
export interface SummedPages {
  readonly pgnos: Uint32Array;
  readonly checksums: BigUint64Array;
}

/**
 * How often the ledger of a busy database is written to the disk. After a crash, the transactions of this time are replayed.
 */
const FLUSH_INTERVAL_MS = 30_000;
const REST_AFTER_MS = 10_000;
/** Maximum level-0 files to replay. If there are more, one scan of the database is faster. */
const REPLAY_COUNT_MAX = 1000;
/** A ledger with many more pages than the database is not that of the database. */
const EXTRA_PAGES_MAX = 1 << 20;

/** All pages of the live database were read, and matched what was replicated, or were replicated with the next file. */
export interface PageProof {
  /** After this transaction. */
  readonly txid: TXID;
  readonly at: Date;
}

export interface LedgerParts {
  readonly metaPath: string;
  readonly level0: LocalLtx;
  readonly logger: Logger;
  readonly onProof?: ((proof: PageProof) => void) | undefined;
}

interface Loaded {
  readonly pages: PageLedger;
  /** The transaction that the ledger belongs to. */
  readonly last: LastFile;
  /** The file on the disk belongs to another ledger. */
  readonly isNew: boolean;
}

export class Ledger {
  readonly #metaPath: string;
  readonly #level0: LocalLtx;
  readonly #logger: Logger;
  readonly #onProof: (proof: PageProof) => void;
  #loaded: Loaded | undefined;
  /** The level-0 file for which no ledger was found. */
  #lostFor: LastFile | undefined;
  /** Of the file that it is written to. */
  #ownership: Ownership | undefined;
  #proof: PageProof | undefined;
  #isChanged = false;
  #usedAtMs = 0;
  /** Of a new ledger: due at once. 0 is not long ago in a process that has just started. */
  #flushedAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: LedgerParts) {
    this.#metaPath = parts.metaPath;
    this.#level0 = parts.level0;
    this.#logger = parts.logger;
    this.#onProof = parts.onProof ?? (() => undefined);
  }

  /** The last proof of this process; undefined if there was none yet. */
  get proof(): PageProof | undefined {
    return this.#proof;
  }

  noteProof(txid: TXID): void {
    this.#proof = { txid, at: new Date() };
    this.#onProof(this.#proof);
  }

  /** Whether the ledger for this level-0 file is in memory. */
  loadedFor(last: LastFile): PageLedger | undefined {
    const loaded = this.#loaded;
    return loaded !== undefined && isSameFile(loaded.last, last) ? loaded.pages : undefined;
  }

  /** The ledger after the transaction of this level-0 file; undefined if that is not known. */
  async at(last: LastFile): Promise<PageLedger | undefined> {
    this.#usedAtMs = performance.now();
    const loaded = this.loadedFor(last);
    if (loaded !== undefined) return loaded;
    if (this.#lostFor !== undefined && isSameFile(this.#lostFor, last)) return undefined;
    this.#loaded = undefined;
    const pages = last.databaseChecksum === 0n ? undefined : await this.#load(last);
    if (pages === undefined) this.#lostFor = last;
    else this.#loaded = { pages, last, isNew: false };
    return pages;
  }

  async #load(last: LastFile): Promise<PageLedger | undefined> {
    const pages = readLedger(this.#metaPath, last.commit + EXTRA_PAGES_MAX);
    if (pages === undefined || !(await this.#replay(pages, last))) return undefined;
    return pages.databaseChecksum === last.databaseChecksum ? pages : undefined;
  }

  /** False if these files may not lead from the ledger to the transaction of `last`. */
  async #replay(pages: PageLedger, last: LastFile): Promise<boolean> {
    const from = pages.txid + 1n;
    if (pages.txid > last.txid || last.txid - from > REPLAY_COUNT_MAX || pages.pageSize !== last.pageSize) return false;
    for (let txid = from; txid <= last.txid; txid++) if (!(await this.#applyFile(pages, txid))) return false;
    return pages.pageCount === last.commit;
  }

  async #applyFile(pages: PageLedger, txid: TXID): Promise<boolean> {
    const decoder = new LtxDecoder(readFileChunks(this.#level0.path(txid, txid)));
    try {
      const { pageSize, commit } = await decoder.header();
      if (pageSize !== pages.pageSize) return false;
      for await (const batch of decoder.batches()) {
        const pgnos = batch.pgnos.slice();
        pages.apply(txid, commit, pgnos, kernel().pageHashes(pgnos, batch.pages, pageSize));
      }
      await decoder.finish();
      pages.apply(txid, commit, new Uint32Array(0), new BigUint64Array(0));
      return true;
    } catch (error) {
      if (isLtxError(error) || (error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    } finally {
      await decoder.close();
    }
  }

  /** The next level-0 file was published, with these pages. `pages`: the ledger of the file before it, as `at` gave it. */
  advance(pages: PageLedger, last: LastFile, { pgnos, checksums }: SummedPages, ownership: Ownership): void {
    // The ledger may have been released as idle meanwhile.
    const isNew = this.#loaded?.pages === pages ? this.#loaded.isNew : true;
    pages.apply(last.txid, last.commit, pgnos, checksums);
    this.#loaded = { pages, last, isNew };
    this.#changed(ownership);
  }

  /** The next level-0 file was published, and holds every page. */
  begin(last: LastFile, summed: SummedPages, ownership: Ownership): void {
    this.prove(last, summed, ownership);
  }

  /** All pages were read, and have the checksum that the last level-0 file states. */
  prove(last: LastFile, summed: SummedPages, ownership: Ownership): PageLedger {
    const pages = ledgerOf(last, summed);
    this.#loaded = { pages, last, isNew: true };
    this.#flushedAtMs = Number.NEGATIVE_INFINITY;
    this.#changed(ownership);
    return pages;
  }

  /**
   * All pages were read in their state after `then`, while there was no ledger. Level 0 now ends with `last`. False if
   * the transactions between the two are not known.
   */
  async adopt(then: LastFile, summed: SummedPages, last: LastFile, ownership: Ownership): Promise<boolean> {
    const pages = ledgerOf(then, summed);
    if (!(await this.#replay(pages, last))) return false;
    if (last.databaseChecksum !== 0n && last.databaseChecksum !== pages.databaseChecksum) return false;
    this.#loaded = { pages, last, isNew: true };
    this.#flushedAtMs = Number.NEGATIVE_INFINITY;
    this.#changed(ownership);
    return true;
  }

  /** The next level-0 file states no database checksum: later files can be proven only after all pages were read again. */
  forget(): void {
    this.#loaded = undefined;
    this.#isChanged = false;
    removeLedger(this.#metaPath);
  }

  /** Releases the memory of an idle database. Called from time to time. */
  rest(afterMs: number = REST_AFTER_MS): void {
    if (this.#loaded === undefined || performance.now() - this.#usedAtMs < afterMs) return;
    this.#flush();
    this.#loaded = undefined;
  }

  /**
   * Writes the ledger to the disk, so that a crash of this process does not lose it. After a failure it is written again, or
   * replayed.
   */
  #flush(): void {
    const loaded = this.#loaded;
    if (loaded === undefined || !this.#isChanged || this.#ownership === undefined) return;
    try {
      writeLedger(this.#metaPath, loaded.pages, this.#ownership, loaded.isNew);
      this.#loaded = { ...loaded, isNew: false };
      this.#isChanged = false;
    } catch (error) {
      // It is no longer known which blocks were not written.
      this.#loaded = { ...loaded, isNew: true };
      this.#logger.debug('page ledger could not be written', { error });
    }
    this.#flushedAtMs = performance.now();
  }

  #changed(ownership: Ownership): void {
    this.#ownership = ownership;
    this.#lostFor = undefined;
    this.#isChanged = true;
    this.#usedAtMs = performance.now();
    if (this.#usedAtMs - this.#flushedAtMs >= FLUSH_INTERVAL_MS) this.#flush();
  }
}

/** Ledger from a list of all pages. */
function ledgerOf({ pageSize, txid, commit }: LastFile, { pgnos, checksums }: SummedPages): PageLedger {
  const all = new BigUint64Array(commit);
  if (pgnos.length === commit) all.set(checksums);
  // Without the lock page.
  else
    for (let index = 0; index < pgnos.length; index++) all[(pgnos[index] as number) - 1] = checksums[index] as bigint;
  return new PageLedger(pageSize, txid, all);
}

/** Whether both are the same level-0 file: another timeline has another file with the same TXID. */
function isSameFile(a: LastFile, b: LastFile): boolean {
  return (
    a.txid === b.txid &&
    a.databaseChecksum === b.databaseChecksum &&
    a.timestampMs === b.timestampMs &&
    a.salt1 === b.salt1 &&
    a.salt2 === b.salt2 &&
    a.endOffset === b.endOffset
  );
}
