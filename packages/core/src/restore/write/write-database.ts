/** Writes the files of a plan to a database. Decodes and writes each page once. */
import { lockPageNumber } from '@litestream/ltx';
import type { LtxHeader } from '@litestream/ltx';
import type { LtxFileInfo, ReplicaClient } from '../../storage/contract/contract.ts';
import type { LitestreamError } from '../../util/error.ts';
import type { DatabaseChecksum } from '../decode/database-checksum.ts';
import { databaseChecksumOf } from '../decode/database-checksum.ts';
import { FileChecksum } from '../decode/file-checksum.ts';
import type { FrameRange, RangeLimits } from '../read/index-reader.ts';
import { corrupt, fault, otherDatabase, unproven } from '../read/ltx-errors.ts';
import type { ProofMode } from '../plan/restore-options.ts';
import { frameRanges, inMemory, readOutline } from '../read/ltx-outline.ts';
import type { LtxOutline, TailChecksum } from '../read/ltx-outline.ts';
import { openLtxSource } from '../read/ltx-source.ts';
import type { Spool } from '../read/spool.ts';
import { PageClaims } from '../decode/page-claims.ts';
import type { RangePool } from '../decode/range-pool.ts';
import { TaskLimiter } from '../read/task-limiter.ts';

export interface WriteOptions {
  readonly client: ReplicaClient;
  /** In the order they apply. */
  readonly plan: readonly LtxFileInfo[];
  /** Descriptor of an empty file. */
  readonly output: number;
  /** Its path, for errors. */
  readonly outputPath: string;
  readonly truncate: (size: number) => Promise<void>;
  readonly pool: RangePool;
  /** For copies of files that cannot be read by range. */
  readonly spool: Spool;
  readonly signal: AbortSignal;
  readonly proof: ProofMode;
  /** Called with `ignored`, if the database is not the one that was replicated. */
  readonly onMismatch: (error: LitestreamError) => void;
  /** Called after each range, with its bytes of input and its pages of output. */
  readonly onRange: (inputSize: number, pagesWritten: number) => void;
}

export interface WrittenDatabase {
  readonly pageSize: number;
  readonly pageCount: number;
  readonly pagesWritten: number;
  /** Of the newest file. */
  readonly header: LtxHeader;
  /** The database has the checksum that the newest file states. False if that file states none. */
  readonly isProven: boolean;
}

const CHECKSUM_FLAG = 1n << 63n;
const RANGE_SIZE_MIN = 128 << 10;
const RANGE_SIZE_MAX = 4 << 20;
/** Maximum decoded bytes of a range: limits the size of a task if pages compress well. */
const RANGE_DECODED_SIZE_MAX = 16 << 20;
/** Number of files whose head and tail are read ahead. */
const READ_AHEAD_COUNT = 8;

/**
 * Reads the files from the newest to the oldest, so that the first one with a page owns it, and passes frames to the
 * pool as soon as their pages are claimed. Verifies every byte of every file. Rejects with `LTX_CORRUPT`,
 * `CHECKSUM_MISMATCH` or `NOT_FOUND`, naming the file; then nothing writes to the output any more.
 *
 * Memory: one bit a page of the database, and a bounded number of ranges of at most 4 MiB in flight.
 */
export async function writeDatabase(options: WriteOptions): Promise<WrittenDatabase> {
  const run = new WriteRun(options);
  return run.execute();
}

class WriteRun {
  readonly #options: WriteOptions;
  readonly #limiter: TaskLimiter;
  /** Ends current reads when another part has failed. */
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #rangeSizeMax: number;
  #newest: LtxOutline | undefined;
  #claims = new PageClaims(0, 1);
  #expectedChecksum: DatabaseChecksum | undefined;
  #databaseChecksum = 0n;
  #pagesWritten = 0;

  constructor(options: WriteOptions) {
    this.#options = options;
    const { parallelism } = options.pool;
    // Twice the parallelism: while one range is decoded, the next one is read.
    this.#limiter = new TaskLimiter(parallelism * 2 + 2, (error) => this.#stop.abort(error));
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
    const inputSize = options.plan.reduce((sum, file) => sum + file.size, 0);
    const share = Math.ceil(inputSize / (parallelism * 8));
    this.#rangeSizeMax = Math.min(RANGE_SIZE_MAX, Math.max(RANGE_SIZE_MIN, share));
  }

  async execute(): Promise<WrittenDatabase> {
    try {
      let added = 0;
      for await (const outline of this.#outlines()) {
        if (this.#isOfOlderPageSize(outline)) {
          this.#skip(added);
          break;
        }
        await this.#addFileOrStop(outline);
        added += 1;
      }
    } catch (error) {
      this.#stop.abort(error);
      // The first failure has stopped the others.
      throw this.#stop.signal.reason;
    } finally {
      // Even if a file is bad: nothing may write after this returns.
      await this.#limiter.settled();
    }
    this.#limiter.throwIfFailed();
    return this.#finish();
  }

  /** Newest first, with a few files read ahead. */
  async *#outlines(): AsyncGenerator<LtxOutline, void, undefined> {
    const { client, plan, spool } = this.#options;
    const waiting = plan.toReversed();
    const ahead: Promise<LtxOutline>[] = [];
    try {
      while (waiting.length > 0 || ahead.length > 0) {
        while (ahead.length < READ_AHEAD_COUNT) {
          const info = waiting.shift();
          if (info === undefined) break;
          const source = openLtxSource(client, info, { signal: this.#signal, spool });
          const outline = source.then(readOutline);
          // Its turn may never come, if a file before it is bad.
          outline.catch(() => undefined);
          ahead.push(outline);
        }
        const next = ahead.shift();
        if (next !== undefined) yield await next;
      }
    } catch (error) {
      this.#stop.abort(error);
      throw error;
    } finally {
      await Promise.allSettled(ahead);
    }
  }

  /**
   * A VACUUM to another page size rewrote every page: older files add nothing, and need not be read. If a page is
   * missing nevertheless, adding the file reports the fault.
   */
  #isOfOlderPageSize({ header }: LtxOutline): boolean {
    const newest = this.#newest?.header;
    return newest !== undefined && header.pageSize !== newest.pageSize && this.#claims.missing === 0;
  }

  /** Counts all files except the newest `added` ones as done without reading them. */
  #skip(added: number): void {
    const { plan, onRange } = this.#options;
    const left = plan.slice(0, plan.length - added);
    onRange(
      left.reduce((sum, file) => sum + file.size, 0),
      0,
    );
  }

  /** Stops all reads before the failure propagates, so that nothing waits for them. */
  async #addFileOrStop(outline: LtxOutline): Promise<void> {
    try {
      await this.#addFile(outline);
    } catch (error) {
      this.#stop.abort(error);
      throw error;
    }
  }

  async #addFile(outline: LtxOutline): Promise<void> {
    const { source, header } = outline;
    if (this.#newest === undefined) await this.#start(outline);
    const pageSize = this.#newest?.header.pageSize ?? header.pageSize;
    if (header.pageSize !== pageSize) {
      const missing = this.#claims.firstMissing();
      throw corrupt(
        source.name,
        `its page size is ${header.pageSize}, that of newer files ${pageSize}, and none of them holds page ${missing}`,
      );
    }
    const checksum = new FileChecksum(outline);
    const tail: TailChecksum = { crc: 0n, length: 0 };
    const limits: RangeLimits = {
      sizeMax: this.#rangeSizeMax,
      pageCountMax: Math.max(1, Math.floor(RANGE_DECODED_SIZE_MAX / pageSize)),
    };
    const ranges: Promise<void>[] = [];
    for await (const range of frameRanges(outline, limits, tail)) {
      const index = ranges.length;
      const owned = this.#claim(range);
      await this.#limiter.place();
      ranges.push(this.#limiter.run(this.#decode(outline, checksum, { ...range, owned, index })));
    }
    void this.#limiter.follow(this.#verify(ranges, checksum, tail, source.path));
  }

  async #verify(
    ranges: readonly Promise<void>[],
    checksum: FileChecksum,
    tail: TailChecksum,
    path?: string,
  ): Promise<void> {
    await Promise.all(ranges);
    this.#limiter.throwIfFailed();
    checksum.verify(tail);
    if (path !== undefined) await this.#options.spool.remove(path);
  }

  async #start(outline: LtxOutline): Promise<void> {
    const { header, source } = outline;
    // Every SQLite database has a page; with a header without pages, a restore would create an empty file.
    if (header.commit === 0) throw corrupt(source.name, 'it says that the database has no pages');
    this.#newest = outline;
    this.#claims = new PageClaims(header.commit, lockPageNumber(header.pageSize));
    this.#expectedChecksum = databaseChecksumOf(header, outline.postApplyChecksum);
    await this.#options.truncate(header.commit * header.pageSize);
  }

  #claim(range: FrameRange): Uint8Array {
    const owned = new Uint8Array(range.pgnos.length);
    range.pgnos.forEach((pgno, index) => {
      if (this.#claims.claim(pgno)) owned[index] = 1;
    });
    return owned;
  }

  async #decode(
    outline: LtxOutline,
    checksum: FileChecksum,
    range: FrameRange & { readonly owned: Uint8Array; readonly index: number },
  ): Promise<void> {
    const { source, header } = outline;
    const { offset, size, pgnos, sizes, owned } = range;
    const { pool, output, onRange } = this.#options;
    const bytes = inMemory(outline, offset, size);
    const from =
      bytes ?? (source.path === undefined ? await source.read(offset, size) : { path: source.path, offset, size });
    this.#signal.throwIfAborted();
    try {
      const result = await pool.run({
        name: source.name,
        source: from,
        pageSize: header.pageSize,
        pgnos,
        sizes,
        owned,
        output,
        summed: this.#expectedChecksum?.of,
      });
      checksum.set(range.index, result);
      this.#pagesWritten += result.pagesWritten;
      this.#databaseChecksum ^= result.databaseChecksum;
      onRange(size, result.pagesWritten);
    } catch (error) {
      const isOutput = (error as NodeJS.ErrnoException | undefined)?.syscall === 'write';
      throw fault(isOutput ? this.#options.outputPath : source.name, error);
    }
  }

  #prove(name: string): boolean {
    const { proof, onMismatch } = this.#options;
    const expected = this.#expectedChecksum;
    if (expected === undefined) {
      if (proof === 'required') throw unproven(name);
      return false;
    }
    if ((this.#databaseChecksum | CHECKSUM_FLAG) === expected.value) return true;
    const error = otherDatabase(name);
    if (proof !== 'ignored') throw error;
    onMismatch(error);
    return false;
  }

  #finish(): WrittenDatabase {
    const newest = this.#newest;
    if (newest === undefined) throw new Error('a restore plan holds at least one file');
    const { header, source } = newest;
    const missing = this.#claims.firstMissing();
    if (missing > 0) {
      throw corrupt(
        source.name,
        `the database has ${header.commit} pages, but no file of the plan holds page ${missing}`,
      );
    }
    const isProven = this.#prove(source.name);
    return { pageSize: header.pageSize, pageCount: header.commit, pagesWritten: this.#pagesWritten, header, isProven };
  }
}
