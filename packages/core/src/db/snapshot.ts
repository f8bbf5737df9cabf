import { createReadStream, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { LtxHeader } from '@litestream/ltx';
import { formatTxid, newHeader } from '@litestream/ltx';
import { LitestreamError } from '../error.ts';
import type { Logger } from '../logger.ts';
import { scanWal } from '../wal/scan.ts';
import { WalFile } from '../wal/wal-file.ts';
import { HEADER_SALTS_OFFSET, WAL_FRAME_HEADER_SIZE, WAL_HEADER_SIZE, sameSalts } from '../wal/wal-header.ts';
import type { Position, ResolvedDbOptions } from './options.ts';
import { listAllPages } from './page-list.ts';
import type { LastFile, Session } from './session.ts';
import { runGently } from './steps.ts';
import type { SyncOutcome } from './sync.ts';
import { writeAnywhere } from './write-job.ts';

/** The whole database at one transaction, as an LTX file. */
export interface SnapshotStream extends AsyncDisposable {
  readonly position: Position;
  /** Header of the file: minTxid 1, maxTxid the position, time of the last commit in it. */
  readonly header: LtxHeader;
  /** Bytes of the file. */
  readonly size: number;
  /** Where the file lies, until the stream is disposed of. */
  readonly path?: string | undefined;
  /** The file's bytes, from the first one, each time it is iterated. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface SnapshotContext {
  readonly lock: <T>(body: () => Promise<T>) => Promise<T>;
  readonly prepare: () => Promise<Session>;
  readonly sync: (session: Session) => Promise<SyncOutcome>;
  readonly metaPath: string;
  readonly options: ResolvedDbOptions;
  readonly logger: Logger;
  readonly signal: AbortSignal | undefined;
}

let serial = 0;

/**
 * Fixes a transaction and reads its state while writers go on.
 *
 * No write lock is needed: a read transaction of its own, taken before the log is read to its end, is what makes the
 * state at that end readable for as long as it lasts (docs/decisions/0010-reading-a-live-database.md).
 */
export async function takeSnapshot(context: SnapshotContext): Promise<SnapshotStream> {
  const { options, signal } = context;
  const started = await context.lock(async () => {
    const session = await context.prepare();
    const pin = await session.connections.openPinned({ busyTimeoutMs: options.busyTimeoutMs, signal });
    const aborted = new AbortController();
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const running = { abort: () => aborted.abort(closedError(session)), done };
    const end = (): void => {
      session.snapshots.delete(running);
      pin.close();
      resolve();
    };
    try {
      let outcome = await context.sync(session);
      while (outcome.kind === 'written' && outcome.limited) outcome = await context.sync(session);
      if (session.last === undefined) throw new Error('synced, yet there is no last file');
      // Not before: a sync that fails may close the session, which waits for the snapshots that are being read.
      session.snapshots.add(running);
      return { session, last: session.last, end, signal: aborted.signal };
    } catch (error) {
      end();
      throw error;
    }
  });
  try {
    const signals = [started.signal, ...(signal === undefined ? [] : [signal])];
    return await writeSnapshot(context, started.session, started.last, AbortSignal.any(signals));
  } finally {
    started.end();
  }
}

async function writeSnapshot(
  context: SnapshotContext,
  session: Session,
  last: LastFile,
  signal: AbortSignal,
): Promise<SnapshotStream> {
  const wal = new WalFile(session.wal.path);
  const path = join(context.metaPath, `snapshot-${formatTxid(last.txid)}-${serial++}.ltx.tmp`);
  try {
    wal.refresh();
    // Another file at that path would look like a log that restarted, and its database like one that holds everything.
    if (session.wal.isOpen && !wal.isSameFile(session.wal)) {
      throw goneError(session);
    }
    const frames = await framesUpTo(wal, last, signal);
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
    const size = await runGently(
      writeAnywhere(
        {
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
          temporaryPath: path,
          mode: session.ownership.fileMode,
        },
        context.options.onProgress,
      ),
      signal,
    );
    return {
      position: { txid: last.txid },
      header,
      size,
      path,
      body: { [Symbol.asyncIterator]: () => createReadStream(path)[Symbol.asyncIterator]() },
      [Symbol.asyncDispose]: async () => rmSync(path, { force: true }),
    };
  } finally {
    wal.close();
  }
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
