import { fstatSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from '../logger.ts';
import { WalFile } from '../wal/wal-file.ts';
import { WAL_HEADER_SIZE } from '../wal/wal-header.ts';
import type { ArrivalWatch } from './arrival.ts';
import { findBaseline } from './baseline.ts';
import type { CommitTimes } from './commit-times.ts';
import { lastTimeMs } from './commit-times.ts';
import { Connections } from './connections.ts';
import type { DatabaseDescriptor } from './descriptor.ts';
import { isAtPath, releaseDeleted } from './descriptor.ts';
import type { Ownership } from './local-ltx.ts';
import { LocalLtx, makeFolder, removeTemporaryFiles } from './local-ltx.ts';
import type { History, ResolvedDbOptions } from './options.ts';
import { inodeAt } from './publish.ts';
import type { Session } from './session.ts';

export interface OpenSessionContext {
  readonly path: string;
  readonly metaPath: string;
  readonly arrival: ArrivalWatch;
  readonly options: ResolvedDbOptions;
  readonly history: History | undefined;
  readonly times: CommitTimes;
  readonly logger: Logger;
  readonly signal: AbortSignal | undefined;
}

let sessionCount = 0;

/** Opens the database file at the path and finds the place to go on from; undefined if there is none that may be opened. */
export async function openSession(context: OpenSessionContext): Promise<Session | undefined> {
  const descriptor = await context.arrival.settled({ ...context.options, signal: context.signal });
  if (descriptor === undefined) return undefined;
  try {
    return await openFile(descriptor, context);
  } catch (error) {
    // Deleted meanwhile: there is no database, and that is no failure.
    if (isAtPath(descriptor, context.path)) throw error;
    releaseDeleted(descriptor);
    return undefined;
  }
}

async function openFile(descriptor: DatabaseDescriptor, context: OpenSessionContext): Promise<Session> {
  const { path, metaPath, options, logger, signal } = context;
  warnOfOldSqlite(options.driver.version, logger);
  const ownership = ownershipOf(descriptor, path);
  const busy = { busyTimeoutMs: options.busyTimeoutMs, signal };
  const connections = await Connections.open(path, options.driver, busy);
  const wal = new WalFile(`${path}-wal`);
  try {
    if (!wal.refresh().exists || wal.size() < WAL_HEADER_SIZE) {
      await connections.bumpSequence(busy);
      wal.refresh();
    }
    connections.rest(0);
    makeFolder(metaPath, ownership);
    removeTemporaryFiles(metaPath);
    const level0 = new LocalLtx(metaPath, 0);
    const place = { databaseFd: descriptor.fd, level0, wal, ownership };
    const baseline = await findBaseline({ ...place, logger, history: context.history }, { signal });
    const { last, txid } = baseline;
    if (last !== undefined) context.times.raise(last.timestampMs);
    else if (txid > 0n) context.times.raise(await lastTimeMs(level0, context.history, { signal }));
    return {
      descriptor,
      connections,
      wal,
      ownership,
      pageSize: connections.pageSize,
      ...baseline,
      tag: `${process.pid}-${++sessionCount}`,
      shmInode: inodeAt(`${path}-shm`),
      caughtUp: false,
      readSincePin: false,
      syncedSinceCheckpoint: false,
      passiveFailed: false,
      fullyCheckpointed: false,
      checkpointedAtMs: options.clock.monotonic(),
      snapshots: new Set(),
    };
  } catch (error) {
    wal.close();
    connections.close();
    throw error;
  }
}

/**
 * Are the database, the log and the locks that are open still those at the path? A log or a `-shm` that was deleted under
 * SQLite is still the one that is written to, as long as nobody has made a new one: whoever opens the database next does.
 */
export function sessionIsCurrent(session: Session, path: string): boolean {
  if (!isAtPath(session.descriptor, path)) return false;
  return !session.wal.isReplaced() && !locksWereTaken(session, path);
}

/** Locks in another file do not see ours: a checkpoint may have moved what we have not read, and the pin says nothing. */
export function locksWereTaken(session: Session, path: string): boolean {
  if (session.shmInode === undefined || !isAtPath(session.descriptor, path)) return false;
  const shmInode = inodeAt(`${path}-shm`);
  return shmInode !== undefined && shmInode !== session.shmInode;
}

/** Lets go of the database; snapshots that are being read from it are cut short. */
export async function closeSession(session: Session): Promise<void> {
  const running = [...session.snapshots];
  for (const snapshot of running) snapshot.abort();
  await Promise.all(running.map((snapshot) => snapshot.done));
  session.connections.close();
  session.wal.close();
  releaseDeleted(session.descriptor);
}

function ownershipOf(descriptor: DatabaseDescriptor, path: string): Ownership {
  const file = fstatSync(descriptor.fd);
  const folder = statSync(dirname(path));
  return { fileMode: file.mode & 0o777, folderMode: folder.mode & 0o777, uid: file.uid, gid: file.gid };
}

const warned = new Set<string>();

/** SQLite before 3.51.3 can lose a commit when the WAL is reset (https://sqlite.org/wal.html, "WAL-reset bug"). */
function warnOfOldSqlite(version: string, logger: Logger): void {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  if (major * 1e6 + minor * 1e3 + patch >= 3_051_003 || warned.has(version)) return;
  warned.add(version);
  logger.warn('SQLite older than 3.51.3 has a bug that can lose data when the WAL is reset', { version });
}
