/** Turns LTX files into one transaction on a copy. */
import { readSync } from 'node:fs';
import { kernel, lockPageNumber, LtxDecoder } from '@litestream/ltx';
import type { LtxHeader } from '@litestream/ltx';
import type { LtxFileInfo, ReplicaClient } from '../client/contract.ts';
import { resumableSource } from '../client/resumable-reader.ts';
import { checksumMismatch, corrupt, fault, ltxName } from '../restore/ltx-fault.ts';
import { PageClaims } from '../restore/page-claims.ts';
import { databaseChecksumOf } from '../restore/database-checksum.ts';
import type { Copy } from './copy.ts';
import type { LogWriter } from './log-writer.ts';
import type { WalIndexHeader } from './wal-index.ts';

export interface ApplyOptions {
  readonly client: ReplicaClient;
  /** In the order they apply. */
  readonly chain: readonly LtxFileInfo[];
  /** The files make up the whole database: what the copy held before does not matter. */
  readonly isWhole: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface Applied {
  /** Pages written. */
  readonly pageCount: number;
  /** The index header of the transaction; undefined if the copy already was what the files make it. */
  readonly header: WalIndexHeader | undefined;
}

const CHECKSUM_MASK = (1n << 63n) - 1n;

/**
 * Writes what the files change, the newest version of each page once, and commits it if every byte of every file proved
 * right. The caller holds the copy's lock. Rejects with the errors of `restore`, and then nothing has changed.
 */
export async function applyFiles(copy: Copy, options: ApplyOptions): Promise<Applied> {
  const run = new ApplyRun(copy, options);
  for (const info of options.chain.toReversed()) {
    options.signal?.throwIfAborted();
    try {
      await run.addFile(info);
    } catch (error) {
      if (options.signal?.aborted === true) throw options.signal.reason;
      throw fault(ltxName(info), error);
    }
  }
  return await run.commit();
}

class ApplyRun {
  readonly #copy: Copy;
  readonly #options: ApplyOptions;
  readonly #writer: LogWriter;
  /** All of the copy's content is in its database file, where pages can be compared with. */
  readonly #isComparable: boolean;
  readonly #present: Uint8Array;
  #newest: { readonly name: string; readonly header: LtxHeader } | undefined;
  #claims = new PageClaims(0, 1);
  #databaseChecksum = 0n;
  #expectedChecksum: bigint | undefined;
  #firstPage: Uint8Array | undefined;

  constructor(copy: Copy, options: ApplyOptions) {
    this.#copy = copy;
    this.#options = options;
    this.#writer = copy.begin();
    const { frameCount } = copy.index.readHeader();
    this.#isComparable = options.isWhole && copy.index.readBackfilledCount() === frameCount;
    this.#present = new Uint8Array(copy.pageSize);
  }

  async addFile(info: LtxFileInfo): Promise<void> {
    const { client, signal } = this.#options;
    const name = ltxName(info);
    const decoder = new LtxDecoder(resumableSource(client, info, { signal }), { file: name });
    try {
      const header = await decoder.header();
      this.#check(name, info, header);
      for await (const batch of decoder.batches()) {
        signal?.throwIfAborted();
        this.#addPages(batch.pgnos, batch.pages);
      }
      await decoder.finish();
    } finally {
      await decoder.close();
    }
  }

  #check(name: string, info: LtxFileInfo, header: LtxHeader): void {
    const { pageSize } = this.#copy;
    if (header.minTxid !== info.minTxid || header.maxTxid !== info.maxTxid) {
      throw corrupt(name, 'its header says that it holds other TXIDs than its name');
    }
    if (header.pageSize !== pageSize) {
      throw corrupt(name, `its page size is ${header.pageSize}, that of the copy ${pageSize}`);
    }
    if (this.#newest !== undefined) return;
    if (header.commit === 0) throw corrupt(name, 'it leaves a database without pages');
    this.#newest = { name, header };
    this.#claims = new PageClaims(header.commit, lockPageNumber(pageSize));
    this.#expectedChecksum = this.#options.isWhole ? databaseChecksumOf(header, 0n) : undefined;
  }

  #addPages(pgnos: Uint32Array, pages: Uint8Array): void {
    const { pageSize } = this.#copy;
    for (const [index, pgno] of pgnos.entries()) {
      if (!this.#claims.claim(pgno)) continue;
      let page = pages.subarray(index * pageSize, (index + 1) * pageSize);
      if (this.#expectedChecksum !== undefined) {
        this.#databaseChecksum ^= (kernel().pageChecksums([pgno], page, pageSize)[0] ?? 0n) & CHECKSUM_MASK;
      }
      if (pgno === 1) page = this.#firstPage = asWalDatabase(page);
      if (!this.#isPresent(pgno, page)) this.#writer.add(pgno, page);
    }
  }

  #isPresent(pgno: number, page: Uint8Array): boolean {
    if (!this.#isComparable || pgno > this.#writer.pageCountBefore) return false;
    const size = readSync(this.#copy.database, this.#present, 0, page.length, (pgno - 1) * page.length);
    return size === page.length && Buffer.compare(this.#present, page) === 0;
  }

  async commit(): Promise<Applied> {
    if (this.#newest === undefined) throw new Error('a chain holds at least one file');
    const { name, header } = this.#newest;
    // Pages that no file holds may be those the copy has, unless they are new to it.
    const missing = this.#claims.firstMissing(this.#options.isWhole ? 1 : this.#writer.pageCountBefore + 1);
    if (missing > 0) {
      throw corrupt(name, `the database has ${header.commit} pages, but no file applied holds page ${missing}`);
    }
    const expected = this.#expectedChecksum;
    if (expected !== undefined && (expected & CHECKSUM_MASK) !== this.#databaseChecksum) {
      throw checksumMismatch(name, 'the database it leaves does not match its database checksum');
    }
    if (this.#writer.count === 0) {
      if (header.commit === this.#writer.pageCountBefore) return { pageCount: 0, header: undefined };
      // A shorter database with all its pages unchanged: some frame has to carry the new length.
      if (this.#firstPage === undefined) throw corrupt(name, 'it changes the size of the database, but no page');
      this.#writer.add(1, this.#firstPage);
    }
    const pageCount = this.#writer.count;
    return { pageCount, header: await this.#writer.commit(header.commit) };
  }
}

/** Bytes 18 and 19 of the database header say that readers use the write-ahead log: else they would not see it. */
function asWalDatabase(page: Uint8Array): Uint8Array {
  const copy = page.slice();
  copy[18] = 2;
  copy[19] = 2;
  return copy;
}
