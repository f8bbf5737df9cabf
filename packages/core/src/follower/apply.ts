/** Applies LTX files to a followed database as one transaction. */
import { readSync } from 'node:fs';
import { isChained, kernel, lockPageNumber, LtxDecoder } from '@litestream/ltx';
import type { LtxHeader } from '@litestream/ltx';
import type { LtxFileInfo, ReplicaClient } from '../storage/contract/contract.ts';
import { resumableSource } from '../storage/reading/resumable-reader.ts';
import { checksumMismatch, corrupt, fault, ltxName } from '../restore/read/ltx-errors.ts';
import { PageClaims } from '../restore/decode/page-claims.ts';
import { statedChecksum } from '../restore/decode/database-checksum.ts';
import type { FollowedDatabase } from './copy.ts';
import type { WalWriter } from './wal-writer.ts';
import type { WalIndexHeader } from '../sqlite/wal/wal-index-image.ts';

export interface ApplyOptions {
  readonly client: ReplicaClient;
  /** In the order they apply. */
  readonly chain: readonly LtxFileInfo[];
  /** The files hold the whole database: the earlier content of the copy does not matter. */
  readonly isWhole: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Called with the headers of the newest and the oldest file when all files passed the checks. False: change nothing. */
  readonly beforeCommit: (newest: LtxHeader, oldest: LtxHeader) => Promise<boolean>;
}

export interface Applied {
  /** Pages written. */
  readonly pageCount: number;
  /** The files held the whole database. */
  readonly isWhole: boolean;
  /** The wal-index header of the transaction; undefined if the copy already had this content. */
  readonly header: WalIndexHeader | undefined;
}

const CHECKSUM_MASK = (1n << 63n) - 1n;

/**
 * Writes the newest version of each page that the files change, and commits if every file passed its checks. The caller
 * holds the copy's lock. Nothing changes if this rejects, with the errors of `restore`, or if `beforeCommit` refuses,
 * or if the WAL is in the way: pages of another size than the copy's need an empty WAL.
 */
export async function applyFiles(
  copy: FollowedDatabase,
  options: ApplyOptions,
): Promise<Applied | 'refused' | 'wal in the way'> {
  const run = new ApplyRun(copy, options);
  for (const info of options.chain.toReversed()) {
    options.signal?.throwIfAborted();
    try {
      if (!(await run.addFile(info))) return 'wal in the way';
    } catch (error) {
      if (options.signal?.aborted === true) throw options.signal.reason;
      throw fault(ltxName(info), error);
    }
  }
  return await run.commit();
}

/** The state after the newest file, according to its header, and how much of that state is known. */
interface Target {
  readonly name: string;
  readonly header: LtxHeader;
  readonly claims: PageClaims;
  readonly writer: WalWriter;
  /** The content of the copy does not matter: the files hold the whole database. */
  readonly isWhole: boolean;
  /** All of the copy's content is in its database file, where pages can be compared. */
  readonly isComparable: boolean;
  readonly expectedChecksum: bigint | undefined;
}

class ApplyRun {
  readonly #copy: FollowedDatabase;
  readonly #options: ApplyOptions;
  readonly #present: Uint8Array;
  #target: Target | undefined;
  /** Header of the file that was added last: the oldest so far. */
  #oldest: { readonly name: string; readonly header: LtxHeader } | undefined;
  #databaseChecksum = 0n;
  #firstPage: Uint8Array | undefined;

  constructor(copy: FollowedDatabase, options: ApplyOptions) {
    this.#copy = copy;
    this.#options = options;
    this.#present = new Uint8Array(copy.pageSize);
  }

  /** False if the copy's WAL is in the way. */
  async addFile(info: LtxFileInfo): Promise<boolean> {
    const { client, signal } = this.#options;
    const name = ltxName(info);
    const decoder = new LtxDecoder(resumableSource(client, info, { signal }), { file: name });
    try {
      const header = await decoder.header();
      if (header.minTxid !== info.minTxid || header.maxTxid !== info.maxTxid) {
        throw corrupt(name, 'its header says that it holds other TXIDs than its name');
      }
      this.#requireChained(header);
      this.#oldest = { name, header };
      const target = (this.#target ??= this.#begin(name, header));
      if (target === undefined) return false;
      // A change of page size begins with a file that holds every page, which makes older files irrelevant.
      if (header.pageSize !== target.header.pageSize) return isSuperseded(name, header, target);
      for await (const batch of decoder.batches()) {
        signal?.throwIfAborted();
        this.#addPages(target, batch.pgnos, batch.pages);
      }
      await decoder.finish();
      return true;
    } finally {
      await decoder.close();
    }
  }

  /** Files are added from the newest to the oldest. */
  #requireChained(before: LtxHeader): void {
    const { name, header } = this.#oldest ?? {};
    if (name === undefined || header === undefined || isChained(before, header)) return;
    throw checksumMismatch(name, 'it starts from another database than the file before it leaves');
  }

  #begin(name: string, header: LtxHeader): Target | undefined {
    const { pageSize, commit } = header;
    if (commit === 0) throw corrupt(name, 'it leaves a database without pages');
    const { index, pageSize: pageSizeBefore } = this.#copy;
    const isOtherSize = pageSize !== pageSizeBefore;
    const isWhole = this.#options.isWhole || isOtherSize;
    const isBackfilled = index.readBackfilledCount() === index.readHeader().frameCount;
    const writer = this.#copy.begin(pageSize);
    if (writer === undefined) return undefined;
    return {
      name,
      header,
      claims: new PageClaims(commit, lockPageNumber(pageSize)),
      writer,
      isWhole,
      isComparable: isWhole && isBackfilled && !isOtherSize,
      expectedChecksum: isWhole ? statedChecksum(header) : undefined,
    };
  }

  #addPages(target: Target, pgnos: Uint32Array, pages: Uint8Array): void {
    const { claims, writer, expectedChecksum } = target;
    const { pageSize } = target.header;
    for (const [index, pgno] of pgnos.entries()) {
      if (!claims.claim(pgno)) continue;
      let page = pages.subarray(index * pageSize, (index + 1) * pageSize);
      if (expectedChecksum !== undefined) {
        this.#databaseChecksum ^= (kernel().pageHashes([pgno], page, pageSize)[0] ?? 0n) & CHECKSUM_MASK;
      }
      if (pgno === 1) page = this.#firstPage = asWalDatabase(page);
      if (!this.#isPresent(target, pgno, page)) writer.add(pgno, page);
    }
  }

  #isPresent({ isComparable, writer }: Target, pgno: number, page: Uint8Array): boolean {
    if (!isComparable || pgno > writer.pageCountBefore) return false;
    const size = readSync(this.#copy.database, this.#present, 0, page.length, (pgno - 1) * page.length);
    return size === page.length && Buffer.compare(this.#present, page) === 0;
  }

  async commit(): Promise<Applied | 'refused'> {
    if (this.#target === undefined) throw new Error('a chain holds at least one file');
    const { name, header, claims, writer, isWhole, expectedChecksum: expected } = this.#target;
    // Pages that no file holds may be those the copy has, unless they are new to it.
    const missing = claims.firstMissing(isWhole ? 1 : writer.pageCountBefore + 1);
    if (missing > 0) {
      throw corrupt(name, `the database has ${header.commit} pages, but no file applied holds page ${missing}`);
    }
    if (expected !== undefined && (expected & CHECKSUM_MASK) !== this.#databaseChecksum) {
      throw checksumMismatch(name, 'the database it leaves does not match its database checksum');
    }
    if (!(await this.#options.beforeCommit(header, this.#oldest?.header ?? header))) return 'refused';
    if (writer.count === 0) {
      if (header.commit === writer.pageCountBefore) return { pageCount: 0, isWhole, header: undefined };
      // The database shrank and no remaining page changed: a frame must carry the new size.
      if (this.#firstPage === undefined) throw corrupt(name, 'it changes the size of the database, but no page');
      writer.add(1, this.#firstPage);
    }
    const pageCount = writer.count;
    return { pageCount, isWhole, header: await writer.commit(header.commit) };
  }
}

function isSuperseded(name: string, header: LtxHeader, { claims, header: newest }: Target): true {
  const missing = claims.firstMissing();
  if (missing === 0) return true;
  const sizes = `its page size is ${header.pageSize}, that of later files ${newest.pageSize}`;
  throw corrupt(name, `${sizes}, and none of these holds page ${missing}`);
}

/** Sets bytes 18 and 19 of the database header, which tell readers to use the WAL. */
function asWalDatabase(page: Uint8Array): Uint8Array {
  const copy = page.slice();
  copy[18] = 2;
  copy[19] = 2;
  return copy;
}
