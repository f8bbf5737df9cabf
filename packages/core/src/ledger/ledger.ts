/**
 * The page ledger of one database: loaded when a transaction needs it, and let go when the database rests. It is used only
 * for the level-0 file whose database checksum it proves.
 */
import { isLtxError, kernel, LtxDecoder } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LocalLtx } from '../db/local-ltx.ts';
import type { LastFile } from '../db/session.ts';
import { readFileChunks } from '../files/safe-files.ts';
import type { Ownership } from '../files/safe-files.ts';
import type { Logger } from '../logger.ts';
import { readLedger, removeLedger, writeLedger } from './ledger-file.ts';
import { PageLedger } from './page-ledger.ts';

/** Pages of one state of a database, ascending and without the lock page, and their checksums. */
export interface SummedPages {
  readonly pgnos: Uint32Array;
  readonly checksums: BigUint64Array;
}

/** A database that changes all the time is written to the disk this often: what is replayed after a crash is as old. */
const FLUSH_INTERVAL_MS = 30_000;
const REST_AFTER_MS = 10_000;
/** Level-0 files that are replayed. Behind more than these, one scan of the database is faster. */
const REPLAY_COUNT_MAX = 1000;
/** A ledger with many more pages than the database is not that of the database. */
const EXTRA_PAGES_MAX = 1 << 20;

/** All pages of the live database were read, and were what was replicated, or became that with the next file. */
export interface PageProof {
  /** After this transaction. */
  readonly txid: TXID;
  readonly at: Date;
}

interface Loaded {
  readonly pages: PageLedger;
  /** The transaction that it is of. */
  readonly last: LastFile;
  /** The file on the disk is another ledger's. */
  readonly isNew: boolean;
}

export class Ledger {
  readonly #metaPath: string;
  readonly #level0: LocalLtx;
  readonly #logger: Logger;
  #loaded: Loaded | undefined;
  /** For this file none was found. */
  #lostFor: LastFile | undefined;
  /** Of the file that it is written to. */
  #ownership: Ownership | undefined;
  #proof: PageProof | undefined;
  #isChanged = false;
  #usedAtMs = 0;
  /** Of a new ledger: due at once. 0 is not long ago in a process that has just started. */
  #flushedAtMs = Number.NEGATIVE_INFINITY;

  constructor(metaPath: string, level0: LocalLtx, logger: Logger) {
    this.#metaPath = metaPath;
    this.#level0 = level0;
    this.#logger = logger;
  }

  /** The last one of this process; undefined if there was none yet. */
  get proof(): PageProof | undefined {
    return this.#proof;
  }

  noteProof(txid: TXID): void {
    this.#proof = { txid, at: new Date() };
  }

  /** In memory at the moment, for this level-0 file. */
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

  /** False if it is not certain that this leads from the ledger to the transaction of `last`. */
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
    // The database may have come to rest since, as far as this was asked.
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
   * All pages were read as they were after `then`, while nothing was known of them; level 0 ends with `last` by now. False if
   * what lies between is not known.
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

  /** The next level-0 file says nothing of its database: what follows can be proven only after all pages were read again. */
  forget(): void {
    this.#loaded = undefined;
    this.#isChanged = false;
    removeLedger(this.#metaPath);
  }

  /** Nothing stays in memory of a database that is not written to. Asked now and then. */
  rest(afterMs: number = REST_AFTER_MS): void {
    if (this.#loaded === undefined || performance.now() - this.#usedAtMs < afterMs) return;
    this.#flush();
    this.#loaded = undefined;
  }

  /** Writes it to the disk, where a crash of this process does not lose it. What fails is repeated, or replayed. */
  #flush(): void {
    const loaded = this.#loaded;
    if (loaded === undefined || !this.#isChanged || this.#ownership === undefined) return;
    try {
      writeLedger(this.#metaPath, loaded.pages, this.#ownership, loaded.isNew);
      this.#loaded = { ...loaded, isNew: false };
      this.#isChanged = false;
    } catch (error) {
      // Blocks that were not written are not known any more.
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

/** Of a list of all pages. */
function ledgerOf({ pageSize, txid, commit }: LastFile, { pgnos, checksums }: SummedPages): PageLedger {
  const all = new BigUint64Array(commit);
  if (pgnos.length === commit) all.set(checksums);
  // Without the lock page.
  else
    for (let index = 0; index < pgnos.length; index++) all[(pgnos[index] as number) - 1] = checksums[index] as bigint;
  return new PageLedger(pageSize, txid, all);
}

/** The same level-0 file: another timeline has another one of the same TXID. */
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
