/**
 * One transaction of a live database that stays readable while writers continue, for a snapshot or a comparison of all
 * pages.
 */
import { newHeader } from '@litestream/ltx';
import { LitestreamError } from '../../util/error.ts';
import type { SummedPages } from '../../ledger/ledger.ts';
import type { Logger } from '../../util/logger.ts';
import { scanWal } from '../../sqlite/wal/wal-scan.ts';
import { WalFile } from '../../sqlite/wal/wal-file.ts';
import { HEADER_SALTS_OFFSET, WAL_FRAME_HEADER_SIZE, WAL_HEADER_SIZE, sameSalts } from '../../sqlite/wal/wal-header.ts';
import { listAllPages } from '../../pages/page-list.ts';
import type { LastFile } from '../../local-ltx/last-file.ts';
import type { Session } from '../session/session.ts';
import { runCooperatively } from '../../util/cooperative.ts';
import type { SyncOutcome } from '../sync/sync.ts';
import { syncVisible } from '../sync/sync.ts';
import type { LtxContent } from '../../local-ltx/writer/write-ltx.ts';

export interface StateContext {
  readonly lock: <T>(body: () => Promise<T>) => Promise<T>;
  readonly prepare: () => Promise<Session>;
  readonly sync: (session: Session) => Promise<SyncOutcome>;
  /**
   * To be called when all pages of the state after `last` were read. Rejects with `DATABASE_CHANGED` if they are not what was
   * replicated. If there is no ledger, builds one from them.
   */
  readonly checkPages: (seen: { session: Session; last: LastFile }, pages: SummedPages) => Promise<void>;
  readonly busyTimeoutMs: number;
  readonly logger: Logger;
  readonly signal: AbortSignal | undefined;
}

export type FixedState = StartedRead & { readonly last: LastFile };

/** Fixes the last transaction of the database: reads the WAL up to it, under its own read transaction. */
export async function fixState(context: StateContext): Promise<FixedState> {
  const { busyTimeoutMs, signal } = context;
  return await context.lock(async () => {
    const session = await context.prepare();
    const pin = await session.connections.openPinned({ busyTimeoutMs, signal });
    const started = new StartedRead(session, () => pin.close());
    try {
      await syncVisible(() => context.sync(session));
      if (session.last === undefined) throw new Error('synced, yet there is no last file');
      return Object.assign(started, { last: session.last });
    } catch (error) {
      await started.end();
      throw error;
    }
  });
}

/** A transaction that stays readable until this object ends: the caller ends it, or the database is closed. */
class StartedRead {
  readonly session: Session;
  /** Work that reads the state. The end waits for it, because it closes the descriptors. */
  readonly #readers = new Set<Promise<void>>();
  readonly #aborted = new AbortController();
  readonly #done = Promise.withResolvers<void>();
  readonly #releases: (() => void)[];
  readonly #running;
  #ended: Promise<void> | undefined;

  constructor(session: Session, release: () => void) {
    this.session = session;
    this.#releases = [release];
    this.#running = { abort: () => void this.end(closedError(session)), done: this.#done.promise };
    session.snapshots.add(this.#running);
  }

  /** Aborted with the reason when it ends. */
  get signal(): AbortSignal {
    return this.#aborted.signal;
  }

  /** Resources are released in reverse order. If this has ended, releases the resource and throws. */
  onEnd(release: () => void): void {
    if (this.signal.aborted) release();
    this.signal.throwIfAborted();
    this.#releases.unshift(release);
  }

  /**
   * Runs work that reads the state; it must stop when the signal is aborted. Rejects with the signal's reason once this has
   * ended.
   */
  async reading<T>(start: () => Promise<T>): Promise<T> {
    this.signal.throwIfAborted();
    const work = start();
    const reader = work.then(
      () => undefined,
      () => undefined,
    );
    this.#readers.add(reader);
    try {
      return await work;
    } finally {
      this.#readers.delete(reader);
    }
  }

  /** Resolves once nothing reads the state any more, and all is released. */
  async end(reason: unknown = endedError(this.session)): Promise<void> {
    this.#ended ??= this.#end(reason);
    await this.#ended;
  }

  async #end(reason: unknown): Promise<void> {
    this.#aborted.abort(reason);
    await Promise.all(this.#readers);
    this.session.snapshots.delete(this.#running);
    for (const release of this.#releases) release();
    this.#done.resolve();
  }
}

/** Finds the offset of each page of the state. */
export async function describeState(state: FixedState, signal: AbortSignal): Promise<LtxContent> {
  const { session, last } = state;
  const wal = new WalFile(session.wal.path);
  state.onEnd(() => wal.close());
  wal.refresh();
  // Another file at that path would look like a restarted WAL whose frames are all in the database file.
  if (session.wal.isOpen && !wal.isSameFile(session.wal)) throw goneError(session);
  const frames = await state.reading(() => framesUpTo(wal, last, signal));
  const frameSize = WAL_FRAME_HEADER_SIZE + last.pageSize;
  const inWal = last.endOffset > WAL_HEADER_SIZE;
  const header = newHeader({
    pageSize: last.pageSize,
    commit: last.commit,
    minTxid: 1n,
    maxTxid: last.txid,
    timestampMs: last.timestampMs,
    walOffset: inWal ? last.endOffset - frameSize : WAL_HEADER_SIZE,
    walSize: inWal ? frameSize : 0,
    salt1: last.salt1,
    salt2: last.salt2,
    extension: { walEndOffset: last.endOffset, databaseChecksum: last.databaseChecksum, previousChecksumHigh: 0 },
  });
  return {
    header,
    source: {
      pageSize: last.pageSize,
      databaseFd: session.descriptor.fd,
      walFd: wal.isOpen ? wal.fd : session.descriptor.fd,
      salt1: last.salt1,
      salt2: last.salt2,
      saltsOffset: HEADER_SALTS_OFFSET,
      endsAtLogEnd: true,
    },
    list: listAllPages(last.pageSize, last.commit, frames),
  };
}

/**
 * Frames of the WAL that belong to the state; none if the WAL restarted meanwhile, because then every page is in the database
 * file.
 */
async function framesUpTo(wal: WalFile, last: LastFile, signal: AbortSignal): Promise<ReadonlyMap<number, number>> {
  const header = wal.header();
  if (header === undefined || !sameSalts(header, last)) return new Map();
  const start = { offset: WAL_HEADER_SIZE, sums: { s0: header.s0, s1: header.s1 } };
  const scan = await runCooperatively(scanWal(wal, header, start, { endOffsetMax: last.endOffset }), signal);
  const after = wal.header();
  if (after === undefined || !sameSalts(after, last)) return new Map();
  if (scan.endOffset !== last.endOffset) {
    throw new Error(`the WAL ends at ${scan.endOffset}, but was read up to ${last.endOffset}`);
  }
  return scan.pages;
}

function goneError(session: Session): LitestreamError {
  return new LitestreamError(`the WAL was removed or replaced while all pages were read: ${session.wal.path}`, {
    code: 'UNAVAILABLE',
    retryable: true,
    operation: 'snapshot',
    object: session.wal.path,
    hint: 'Let only SQLite touch the -wal file. Litestream retries the snapshot.',
  });
}

function closedError(session: Session): LitestreamError {
  return new LitestreamError('the database was closed while a snapshot was taken', {
    code: 'ABORTED',
    retryable: true,
    operation: 'snapshot',
    object: session.wal.path,
  });
}

function endedError(session: Session): LitestreamError {
  return new LitestreamError('the snapshot was disposed of while it was read', {
    code: 'ABORTED',
    operation: 'snapshot',
    object: session.wal.path,
  });
}
