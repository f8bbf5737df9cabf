import { mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { LtxHeader } from '@litestream/ltx';
import { formatTxid } from '@litestream/ltx';
import { hasCode } from '../../util/error.ts';
import { readFileChunks } from '../../files/safe-files.ts';
import { describeState, fixState } from './fixed-state.ts';
import type { FixedState, StateContext } from './fixed-state.ts';
import { localFileError } from '../../local-ltx/local-file-errors.ts';
import type { Position, ResolvedDbOptions } from '../session/options.ts';
import { hasAmpleRoom, walTooLongError, ltxSizeMax, roomIn } from '../../local-ltx/writer/disk-room.ts';
import { stagedPath } from '../../files/staging.ts';
import { runCooperatively } from '../../util/cooperative.ts';
import { measureLtx, streamLtx } from '../../local-ltx/writer/stream-ltx.ts';
import { writeAnywhere } from '../../local-ltx/writer/write-job.ts';
import type { LtxContent } from '../../local-ltx/writer/write-ltx.ts';
import { provenHeader, sumsOf } from '../../local-ltx/writer/write-ltx.ts';

/** The whole database at one transaction, as an LTX file. */
export interface SnapshotStream extends AsyncDisposable {
  readonly position: Position;
  /** Header of the file: minTxid 1, maxTxid the position, time of the last commit in it. */
  readonly header: LtxHeader;
  /** Bytes of the file. */
  readonly size: number;
  /**
   * Path of the file until the stream is disposed of; undefined if the file is generated while it is read, and never on
   * a disk.
   */
  readonly path?: string | undefined;
  /** The file's bytes. Each iteration returns the same bytes from the start. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface SnapshotContext extends StateContext {
  readonly metaPath: string;
  /** Where to make the file, if there is room. Undefined: in the metadata folder. */
  readonly stagingPath: string | undefined;
  readonly options: ResolvedDbOptions;
}

/** How often to check whether the WAL has grown too long while a snapshot is streamed. */
const WAL_CHECK_MS = 1000;

/**
 * Fixes a transaction and reads its state while writers continue.
 *
 * No write lock is needed: a separate read transaction, taken before the WAL is read to its end, keeps the state at
 * that end readable as long as the transaction lasts (docs/decisions/0010-reading-a-live-database.md).
 *
 * If there is ample room, the file is made on the disk first: that is fastest, and ends the read transaction soonest.
 * Otherwise nothing is written, and the pages are read each time the file is read (docs/decisions/0027-disk-space.md).
 */
export async function takeSnapshot(context: SnapshotContext): Promise<SnapshotStream> {
  const { signal } = context;
  const state = await fixState(context);
  try {
    const signals = [state.signal, ...(signal === undefined ? [] : [signal])];
    const making = AbortSignal.any(signals);
    const content = await describeState(state, making);
    logContent(context, state, content.header);
    const snapshot = (await stage(context, state, content, making)) ?? (await stream(context, state, content, making));
    if (snapshot.path !== undefined) await state.end();
    return snapshot;
  } catch (error) {
    await state.end();
    throw error;
  }
}

function logContent({ logger }: SnapshotContext, { last }: FixedState, header: LtxHeader): void {
  const txid = formatTxid(last.txid);
  logger.debug('snapshot', { txid, walEndOffset: last.endOffset });
  logger.debug('encode snapshot header', {
    txid,
    commit: last.commit,
    walOffset: header.walOffset,
    walSize: header.walSize,
    walEndOffset: last.endOffset,
    salt1: last.salt1,
    salt2: last.salt2,
  });
}

/** Makes the file on the disk; undefined if there is not ample room. */
async function stage(
  context: SnapshotContext,
  state: FixedState,
  content: LtxContent,
  signal: AbortSignal,
): Promise<SnapshotStream | undefined> {
  const { txid } = state.last;
  const path = stagedPath(context, `snapshot-${formatTxid(txid)}.ltx`);
  const { ownership } = state.session;
  try {
    if (context.stagingPath !== undefined) mkdirSync(context.stagingPath, { recursive: true, mode: 0o700 });
    if (!hasAmpleRoom(dirname(path), ltxSizeMax(content))) return undefined;
    const sums = sumsOf(content.list.pgnos.length, 0n);
    const job = { ...content, sums, temporaryPath: path, ownership };
    const size = await state.reading(() => runCooperatively(writeAnywhere(job, context.options.onProgress), signal));
    await context.checkPages(state, { pgnos: content.list.pgnos, checksums: sums.checksums });
    return {
      position: { txid },
      header: provenHeader(content.header, sums),
      size,
      path,
      body: { [Symbol.asyncIterator]: () => readFileChunks(path) },
      [Symbol.asyncDispose]: async () => rmSync(path, { force: true }),
    };
  } catch (error) {
    rmSync(path, { force: true });
    // A quota, which `statfs` does not show.
    if (hasCode(localFileError(error, path), 'DISK_FULL')) return undefined;
    throw error;
  }
}

/** The snapshot file, created from the database. Each read starts at the first byte, under the same read transaction. */
async function stream(
  context: SnapshotContext,
  state: FixedState,
  content: LtxContent,
  signal: AbortSignal,
): Promise<SnapshotStream> {
  const { txid } = state.last;
  // One read of all pages to learn the size: with it, every backend accepts the stream without a copy on the disk, and
  // in parts of the right size.
  const sums = sumsOf(content.list.pgnos.length, 0n);
  const size = await state.reading(() => runCooperatively(measureLtx(content, sums), signal));
  await context.checkPages(state, { pgnos: content.list.pgnos, checksums: sums.checksums });
  const proven = { ...content, header: provenHeader(content.header, sums) };
  context.logger.debug('snapshot is streamed, there is no room to make it on the disk', {
    txid: formatTxid(txid),
    size,
  });
  state.onEnd(watchWal(state));
  return {
    position: { txid },
    header: proven.header,
    size,
    body: {
      [Symbol.asyncIterator]: () =>
        streamLtx(proven, { signal: state.signal, onReader: (ended) => void state.reading(() => ended) }),
    },
    [Symbol.asyncDispose]: async () => state.end(),
  };
}

/**
 * The WAL cannot restart while the read transaction lasts, which may be for hours. Ends the transaction once the WAL
 * has grown by half of the free space on the disk. Returns a function that ends the watch.
 */
function watchWal(state: FixedState): () => void {
  const { path } = state.session.wal;
  const size = (): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const startSize = size();
  const look = (): void => {
    try {
      const grown = size() - startSize;
      const room = roomIn(dirname(path));
      if (room !== undefined && grown > room.free / 2) void state.end(walTooLongError(path, grown, room.free));
    } catch (error) {
      // The file system failed: nothing more can be read from it either.
      void state.end(localFileError(error, path));
    }
  };
  const timer = setInterval(look, WAL_CHECK_MS);
  timer.unref();
  return () => clearInterval(timer);
}
