import { fstatSync, readlinkSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from '../../util/logger.ts';
import { LitestreamError } from '../../util/error.ts';
import { WalFile } from '../../sqlite/wal/wal-file.ts';
import { readVisibleWal } from '../../sqlite/wal/wal-index.ts';
import type { VisibleWal } from '../../sqlite/wal/wal-index.ts';
import type { ArrivalWatch } from './arrival.ts';
import { findBaseline } from './baseline.ts';
import type { CommitTimes } from '../session/commit-times.ts';
import { lastTimeMs } from '../session/commit-times.ts';
import { Connections } from '../session/connections.ts';
import type { DatabaseDescriptor } from '../../sqlite/database-file/descriptor.ts';
import {
  isAtPath,
  keepDescriptor,
  releaseDeleted,
  releaseDeletedIndex,
} from '../../sqlite/database-file/descriptor.ts';
import { removeTemporaryFiles } from '../../files/temporary-files.ts';
import type { Ownership } from '../../files/safe-files.ts';
import { requireLastingDescriptors } from '../../sqlite/database-file/lasting-descriptors.ts';
import { LocalLtx } from '../../local-ltx/local-ltx.ts';
import type { MetadataLock } from '../metadata/metadata-lock.ts';
import type { History, ResolvedDbOptions } from '../session/options.ts';
import { readRestRecord } from '../session/rest-record.ts';
import { changedError } from '../../sqlite/database-file/open-same.ts';
import { Session } from '../session/session.ts';
import { refuseDeletedWal } from '../session/session-faults.ts';
import { OpeningLocks } from '../../sqlite/driver/opening-locks.ts';

export interface OpenSessionContext {
  readonly path: string;
  readonly metaPath: string;
  /** Of the metadata folder: taken before anything there, or in the database, is read or written. */
  readonly lock: MetadataLock;
  readonly arrival: ArrivalWatch;
  readonly options: ResolvedDbOptions;
  readonly history: History | undefined;
  readonly times: CommitTimes;
  readonly logger: Logger;
  readonly signal: AbortSignal | undefined;
  readonly patienceMs: number | undefined;
}

/**
 * Opens the database file at the path and finds where to continue; undefined if there is no file that may be opened.
 */
export async function openSession(context: OpenSessionContext): Promise<Session | undefined> {
  await requireLastingDescriptors(context.path);
  const descriptor = await context.arrival.settled({
    busyTimeoutMs: context.options.busyTimeoutMs,
    patienceMs: context.patienceMs,
    signal: context.signal,
  });
  if (descriptor === undefined) return undefined;
  try {
    return await openFile(descriptor, context);
  } catch (error) {
    // Deleted meanwhile: then there is no database, which is no failure.
    if (isAtPath(descriptor, context.path)) throw error;
    releaseDeleted(descriptor);
    return undefined;
  }
}

async function openFile(descriptor: DatabaseDescriptor, context: OpenSessionContext): Promise<Session> {
  const { metaPath, options, logger, signal } = context;
  // A link at the path may lead elsewhere later: the WAL of this session stays that of this file.
  const path = context.arrival.file;
  warnOfOldSqlite(options.driver.version, logger);
  const ownership = ownershipOf(descriptor, [context.path, path]);
  await refuseDeletedWal(path, descriptor, { signal });
  context.lock.acquire(ownership);
  const busy = { busyTimeoutMs: options.busyTimeoutMs, signal };
  const connections = await Connections.open({ path, file: descriptor }, options.driver, busy);
  const wal = new WalFile(`${path}-wal`);
  try {
    if (wal.refresh().exists) requireOpenedAt(wal.fd, wal.path);
    connections.rest(0);
    const level0 = new LocalLtx(metaPath, 0);
    level0.requireSafe(ownership);
    removeTemporaryFiles(metaPath, ownership);
    const index = keepIndex(path);
    const visible = readVisibleWal(index.fd) ?? recoverIndex(connections, index);
    const place = { databaseFd: descriptor.fd, level0, wal, visible, ownership, record: readRestRecord(metaPath) };
    const { state, txid, otherProgram, isPartlyCompared } = await findBaseline(
      { ...place, logger, history: context.history },
      { signal },
    );
    if (state.last !== undefined) context.times.raise(state.last.timestampMs);
    else if (txid > 0n) context.times.raise(await lastTimeMs(level0, context.history, { signal }));
    const openingLocks = await OpeningLocks.find(descriptor.inode, index.inode);
    const parts = { path, descriptor, index, connections, wal, ownership, otherProgram, openingLocks };
    return new Session(parts, { state, txid, nowMs: options.clock.monotonic(), isPartlyCompared });
  } catch (error) {
    wal.close();
    connections.close();
    throw error;
  }
}

/** Throws `DATABASE_CHANGED` if a link in place of a folder led to the WAL of another database when it was opened. */
function requireOpenedAt(fd: number, path: string): void {
  let openedAt: string;
  try {
    openedAt = readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return; // Not Linux, or /proc is not mounted.
  }
  if (openedAt !== path && !openedAt.endsWith(' (deleted)')) throw changedError(path);
}

/** Every connection maps the `-shm`, so it exists; if it was deleted just now, the next attempt creates it again. */
function keepIndex(path: string): DatabaseDescriptor {
  const index = keepDescriptor(`${path}-shm`);
  if (index !== undefined) return index;
  throw new LitestreamError(`the -shm file is missing: ${path}-shm`, {
    code: 'UNAVAILABLE',
    retryable: true,
    operation: 'open',
    object: `${path}-shm`,
    hint: 'Close all programs that use the database, then start them again. Do not delete the -shm file.',
  });
}

/** A writer was killed in the middle of the header. */
function recoverIndex(connections: Connections, index: DatabaseDescriptor): VisibleWal {
  connections.recoverIndex();
  const visible = readVisibleWal(index.fd);
  if (visible !== undefined) return visible;
  throw new Error('the header of the wal-index cannot be read');
}

/** Closes the database; snapshots that are being read from it are aborted. */
export async function closeSession(session: Session, options: { readonly keepsWal: boolean }): Promise<void> {
  const running = [...session.snapshots];
  for (const snapshot of running) snapshot.abort();
  await Promise.all(running.map((snapshot) => snapshot.done));
  session.connections.close(options);
  session.wal.close();
  releaseDeleted(session.descriptor);
  releaseDeletedIndex(session.index);
}

/** If a link leads to the database, local files get only the permissions that both folders grant. */
function ownershipOf(descriptor: DatabaseDescriptor, paths: readonly string[]): Ownership {
  const file = fstatSync(descriptor.fd);
  const folderMode = paths.reduce((mode, path) => mode & statSync(dirname(path)).mode, 0o777);
  return { fileMode: file.mode & 0o777, folderMode, uid: file.uid, gid: file.gid };
}

const warned = new Set<string>();

/** SQLite before 3.51.3 can lose a commit when the WAL is reset (https://sqlite.org/wal.html, "WAL-reset bug"). */
function warnOfOldSqlite(version: string, logger: Logger): void {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  if (major * 1e6 + minor * 1e3 + patch >= 3_051_003 || warned.has(version)) return;
  warned.add(version);
  logger.warn('SQLite older than 3.51.3 has a bug that can lose data when the WAL is reset', { version });
}
