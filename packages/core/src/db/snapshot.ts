import { mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { LtxHeader } from '@litestream/ltx';
import { formatTxid, newHeader } from '@litestream/ltx';
import { LitestreamError, hasCode } from '../error.ts';
import { readFileChunks } from '../files/safe-files.ts';
import type { Logger } from '../logger.ts';
import { scanWal } from '../wal/scan.ts';
import { WalFile } from '../wal/wal-file.ts';
import { HEADER_SALTS_OFFSET, WAL_FRAME_HEADER_SIZE, WAL_HEADER_SIZE, sameSalts } from '../wal/wal-header.ts';
import { localFault } from './local-fault.ts';
import type { Position, ResolvedDbOptions } from './options.ts';
import { listAllPages } from './page-list.ts';
import { hasAmpleRoom, logTooLongError, ltxSizeMax, roomIn } from './room.ts';
import type { LastFile, Session } from './session.ts';
import { stagedPath } from './staging.ts';
import { runGently } from './steps.ts';
import { measureLtx, streamLtx } from './stream-ltx.ts';
import type { SyncOutcome } from './sync.ts';
import { syncVisible } from './sync.ts';
import { writeAnywhere } from './write-job.ts';
import type { LtxContent } from './write-ltx.ts';

/** The whole database at one transaction, as an LTX file. */
export interface SnapshotStream extends AsyncDisposable {
  readonly position: Position;
  /** Header of the file: minTxid 1, maxTxid the position, time of the last commit in it. */
  readonly header: LtxHeader;
  /** Bytes of the file. */
  readonly size: number;
  /** Where the file lies, until the stream is disposed of; undefined if it is made while it is read, and never on a disk. */
  readonly path?: string | undefined;
  /** The file's bytes, the same ones from the first one on, each time it is iterated. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface SnapshotContext {
  readonly lock: <T>(body: () => Promise<T>) => Promise<T>;
  readonly prepare: () => Promise<Session>;
  readonly sync: (session: Session) => Promise<SyncOutcome>;
  readonly metaPath: string;
  /** Where to make the file, if there is room. Undefined: in the metadata folder. */
  readonly stagingPath: string | undefined;
  readonly options: ResolvedDbOptions;
  readonly logger: Logger;
  readonly signal: AbortSignal | undefined;
}

/** How often to look whether the log has grown too long while a snapshot is streamed. */
const LOG_CHECK_MS = 1000;

/**
 * Fixes a transaction and reads its state while writers go on.
 *
 * No write lock is needed: a read transaction of its own, taken before the log is read to its end, is what makes the
 * state at that end readable for as long as it lasts (docs/decisions/0010-reading-a-live-database.md).
 *
 * Where there is ample room the file is made on the disk first: that is the fastest, and ends the read transaction soonest.
 * Where there is not, nothing is written, and the pages are read each time the file is (docs/decisions/room-on-the-disk.md).
 */
export async function takeSnapshot(context: SnapshotContext): Promise<SnapshotStream> {
  const { options, signal } = context;
  const state = await context.lock(async () => {
    const session = await context.prepare();
    const pin = await session.connections.openPinned({ busyTimeoutMs: options.busyTimeoutMs, signal });
    const started = new StartedSnapshot(session, () => pin.close());
    try {
      await syncVisible(() => context.sync(session));
      if (session.last === undefined) throw new Error('synced, yet there is no last file');
      return Object.assign(started, { last: session.last });
    } catch (error) {
      await started.end();
      throw error;
    }
  });
  try {
    const signals = [state.signal, ...(signal === undefined ? [] : [signal])];
    const making = AbortSignal.any(signals);
    const content = await describe(context, state, making);
    const snapshot = (await stage(context, state, content, making)) ?? (await stream(context, state, content, making));
    if (snapshot.path !== undefined) await state.end();
    return snapshot;
  } catch (error) {
    await state.end();
    throw error;
  }
}

/** A transaction that stays readable until the end of this, which may come from here or from closing the database. */
class StartedSnapshot {
  readonly session: Session;
  /** What reads the state; it is waited for, since descriptors are closed then. */
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

  /** Released before what was given earlier. Throws, after releasing it, if this has ended. */
  onEnd(release: () => void): void {
    if (this.signal.aborted) release();
    this.signal.throwIfAborted();
    this.#releases.unshift(release);
  }

  /** Work that reads the state; it must heed the signal. Rejects with the signal's reason once this has ended. */
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

type State = StartedSnapshot & { readonly last: LastFile };

/** Finds where the pages of the state are. */
async function describe(context: SnapshotContext, state: State, signal: AbortSignal): Promise<LtxContent> {
  const { session, last } = state;
  const wal = new WalFile(session.wal.path);
  state.onEnd(() => wal.close());
  wal.refresh();
  // Another file at that path would look like a log that restarted, and its database like one that holds everything.
  if (session.wal.isOpen && !wal.isSameFile(session.wal)) throw goneError(session);
  const frames = await state.reading(() => framesUpTo(wal, last, signal));
  const frameSize = WAL_FRAME_HEADER_SIZE + last.pageSize;
  const inLog = last.endOffset > WAL_HEADER_SIZE;
  const header = newHeader({
    pageSize: last.pageSize,
    commit: last.commit,
    minTxid: 1n,
    maxTxid: last.txid,
    timestampMs: last.timestampMs,
    walOffset: inLog ? last.endOffset - frameSize : WAL_HEADER_SIZE,
    walSize: inLog ? frameSize : 0,
    salt1: last.salt1,
    salt2: last.salt2,
  });
  const txid = formatTxid(last.txid);
  context.logger.debug('snapshot', { txid, walEndOffset: last.endOffset });
  context.logger.debug('encode snapshot header', {
    txid,
    commit: last.commit,
    walOffset: header.walOffset,
    walSize: header.walSize,
    walEndOffset: last.endOffset,
    salt1: last.salt1,
    salt2: last.salt2,
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

/** Makes the file on the disk; undefined if there is not ample room. */
async function stage(
  context: SnapshotContext,
  state: State,
  content: LtxContent,
  signal: AbortSignal,
): Promise<SnapshotStream | undefined> {
  const { txid } = state.last;
  const path = stagedPath(context, txid);
  const { ownership } = state.session;
  try {
    if (context.stagingPath !== undefined) mkdirSync(context.stagingPath, { recursive: true, mode: 0o700 });
    if (!hasAmpleRoom(dirname(path), ltxSizeMax(content))) return undefined;
    const job = { ...content, temporaryPath: path, ownership };
    const size = await state.reading(() => runGently(writeAnywhere(job, context.options.onProgress), signal));
    return {
      position: { txid },
      header: content.header,
      size,
      path,
      body: { [Symbol.asyncIterator]: () => readFileChunks(path) },
      [Symbol.asyncDispose]: async () => rmSync(path, { force: true }),
    };
  } catch (error) {
    rmSync(path, { force: true });
    // A quota, of which the file system does not tell.
    if (hasCode(localFault(error, path), 'DISK_FULL')) return undefined;
    throw error;
  }
}

/** The file as it is read from the database, each time from its start, under the one read transaction. */
async function stream(
  context: SnapshotContext,
  state: State,
  content: LtxContent,
  signal: AbortSignal,
): Promise<SnapshotStream> {
  const { txid } = state.last;
  // Read once more than would be needed: with its size, every backend takes it without a copy on the disk, and in parts of
  // the right size.
  const size = await state.reading(() => runGently(measureLtx(content), signal));
  context.logger.debug('snapshot is streamed, there is no room to make it on the disk', {
    txid: formatTxid(txid),
    size,
  });
  state.onEnd(watchLog(state));
  return {
    position: { txid },
    header: content.header,
    size,
    body: {
      [Symbol.asyncIterator]: () =>
        streamLtx(content, { signal: state.signal, onReader: (ended) => void state.reading(() => ended) }),
    },
    [Symbol.asyncDispose]: async () => state.end(),
  };
}

/**
 * Nobody can restart the log while the read transaction lasts, which may be for hours: it ends once the log has grown by
 * half of what is left on the disk. Returns what ends the watch.
 */
function watchLog(state: State): () => void {
  const { path } = state.session.wal;
  const size = (): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const startSize = size();
  const look = (): void => {
    try {
      const grown = size() - startSize;
      const room = roomIn(dirname(path));
      if (room !== undefined && grown > room.free / 2) void state.end(logTooLongError(path, grown, room.free));
    } catch (error) {
      // The disk is gone: nothing more can be read from it either.
      void state.end(localFault(error, path));
    }
  };
  const timer = setInterval(look, LOG_CHECK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Frames of the log that make the state; none if it restarted meanwhile, for then all is in the database file. */
async function framesUpTo(wal: WalFile, last: LastFile, signal: AbortSignal): Promise<ReadonlyMap<number, number>> {
  const header = wal.header();
  if (header === undefined || !sameSalts(header, last)) return new Map();
  const start = { offset: WAL_HEADER_SIZE, sums: { s0: header.s0, s1: header.s1 } };
  const scan = await runGently(scanWal(wal, header, start, { endOffsetMax: last.endOffset }), signal);
  const after = wal.header();
  if (after === undefined || !sameSalts(after, last)) return new Map();
  if (scan.endOffset !== last.endOffset) {
    throw new Error(`the log ends at ${scan.endOffset}, not at ${last.endOffset} where it was read to`);
  }
  return scan.pages;
}

function goneError(session: Session): LitestreamError {
  return new LitestreamError(`the log was removed or replaced while a snapshot was taken: ${session.wal.path}`, {
    code: 'UNAVAILABLE',
    retryable: true,
    operation: 'snapshot',
    object: session.wal.path,
    hint: 'Nothing but SQLite may touch the -wal file. The snapshot is tried again.',
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
