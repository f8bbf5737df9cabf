/** One sync of an open database: reads the visible commits, and verifies that every commit was visible. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TXID } from '@litestream/ltx';
import { isSecondLibraryOpen } from '../../sqlite/driver/library-conflict.ts';
import { LitestreamError } from '../../util/error.ts';
import type { BusyOptions } from '../session/writer.ts';
import { isSameBackfill } from '../../sqlite/database-file/database-mark.ts';
import { isAtPath } from '../../sqlite/database-file/descriptor.ts';
import { drainWal } from './drain-wal.ts';
import { readBootId, recordResync, writeRestRecord } from '../session/rest-record.ts';
import type { Session } from '../session/session.ts';
import type { SessionFault } from '../session/session-faults.ts';
import { SessionFaultError, faultError, findFault, findPathFault, reasonOf } from '../session/session-faults.ts';
import { runCooperatively } from '../../util/cooperative.ts';
import type { SyncContext } from './sync-context.ts';
import type { SyncOutcome } from './sync.ts';
import { syncSteps } from './sync.ts';

/** How often, and at which interval, to look for a database whose WAL is missing: half a second in all. */
const REMOVAL_LOOKS_MAX = 51;
const REMOVAL_LOOK_DELAY_MS = 10;

export interface SyncSessionContext extends SyncContext {
  readonly busy: BusyOptions;
  /** Called with each transaction once it has a file. */
  readonly publish: (txid: TXID) => void;
  /** Closes the session. */
  readonly close: () => Promise<void>;
}

/**
 * Rejects with `WAL_LOST`, `LOCKS_LOST` or `DATABASE_CHANGED` where the session cannot see everything that is
 * committed. Commits that were read are still published, the session is closed, and the next one replicates the whole
 * database.
 */
export async function syncSession(context: SyncSessionContext): Promise<SyncOutcome> {
  const { session, busy } = context;
  if (!session.connections.pinned) {
    // A failed checkpoint released it: frames written meanwhile may be gone from the WAL.
    session.apply({ kind: 'pin-released' });
    await session.connections.pinWhenFree(busy);
  }
  // Checked before the WAL is read, because the state depends on the database file, and after it, for changes in
  // between.
  await requireNoSessionFault(context);
  let outcome = await run(context);
  if (outcome.kind === 'no-wal') {
    await session.connections.bumpSequence(busy);
    session.wal.refresh();
    outcome = await run(context);
    if (outcome.kind === 'no-wal') throw emptyWal(session);
  }
  if (outcome.kind === 'written') published(context, outcome.txid);
  await requireNoSessionFault(context);
  return outcome;
}

/** Call this once the transaction has its file. */
export function published({ session, publish }: SyncSessionContext, txid: TXID): void {
  publish(txid);
  // A transaction without a file: the record that asks for a resync covers it.
  if (!session.isLastLeftOut) session.unrecordedReason = undefined;
}

/**
 * Records the state of the database file, for a start after an unclean stop. Called after each sync and checkpoint;
 * writes only if a checkpoint has moved frames since.
 */
export function recordFile({ session, metaPath, logger }: SyncSessionContext): void {
  const { mark, recorded, state, descriptor, isPartlyCompared } = session;
  if (mark === undefined || state.kind === 'snapshot-required' || state.kind === 'at-rest') return;
  if (session.isLastLeftOut || session.unrecordedReason !== undefined) return;
  if (recorded !== undefined && isSameBackfill(recorded.visible, mark.visible)) return;
  const { salt1, salt2, backfilled } = mark.visible;
  const file = { inode: descriptor.inode, size: mark.size, mtimeNs: mark.mtimeNs };
  try {
    const bootId = readBootId();
    const place = { file, salt1, salt2, backfilled, bootId, isPartlyCompared };
    writeRestRecord(metaPath, { kind: 'in-use', ...place }, session.ownership);
    session.recorded = mark;
  } catch (error) {
    // An older record is safe: a start that finds it compares more pages, or takes a snapshot.
    logger.debug('state of the database file could not be recorded', { error });
  }
}

async function run(context: SyncSessionContext): Promise<SyncOutcome> {
  try {
    return await runCooperatively(syncSteps(context), context.busy.signal);
  } catch (error) {
    const { session } = context;
    const fault = error instanceof SessionFaultError ? error.fault : findPathFault(session);
    if (fault === undefined || (await isBeingRemoved(session, fault))) throw error;
    return await failSession(context, fault);
  }
}

async function requireNoSessionFault(context: SyncSessionContext): Promise<void> {
  const { session, publish } = context;
  const fault = findFault(session);
  // If the database was removed together with its WAL, the next look reports that; the visible commits have been read.
  if (fault === undefined || (await isBeingRemoved(session, fault))) return;
  if (fault.startsWith('wal')) await drainWal(context, publish, undefined);
  await failSession(context, fault);
}

/**
 * Is the database file gone from its path as well? A program that removes a folder removes the WAL and the `-shm` an
 * instant before, or after, the database: so if one of them is missing, this looks again.
 */
async function isBeingRemoved({ descriptor, path }: Session, fault: SessionFault): Promise<boolean> {
  const looks = fault === 'wal-deleted' || fault === 'shm-lost' ? REMOVAL_LOOKS_MAX : 1;
  for (let look = 1; ; look++) {
    if (!isAtPath(descriptor, path)) return true;
    if (look === looks) return false;
    await sleep(REMOVAL_LOOK_DELAY_MS);
  }
}

/** Runs work between two syncs. If the session no longer sees everything, rejects as `syncSession` does. */
export async function withFaultCheck<T>(context: SyncSessionContext, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SessionFaultError)) throw error;
    return await failSession(context, error.fault);
  }
}

/** Ends a session that may miss commits: what it read so far is right, but may be incomplete. Always throws. */
export async function failSession(context: SyncSessionContext, fault: SessionFault): Promise<never> {
  const { close, logger, metaPath, session } = context;
  const reason = reasonOf(fault);
  session.apply({ kind: 'disproven', reason });
  const error = faultError(fault, session);
  try {
    recordResync(metaPath, reason, session);
  } catch (failure) {
    // Only this session knows of the fault now, so it stays open: its next sync replicates the whole database.
    session.unrecordedReason = reason;
    const details = { error: failure, reason };
    // The metadata folder is being deleted, as with a database that is removed: a restart then has nothing to continue
    // from.
    if ((failure as NodeJS.ErrnoException).code === 'ENOENT') {
      logger.debug('metadata folder is gone, nothing to record', details);
    } else {
      logger.error('cannot record that the whole database is to be replicated, a restart would not know it', details);
    }
    throw error;
  }
  // Closing our connections now would drop the locks of the other copy of SQLite.
  if (!isSecondLibraryOpen(session.path)) await close();
  throw error;
}

/** We wrote to the database, and there still is no WAL to read: we may not see commits. */
function emptyWal({ wal }: Session): LitestreamError {
  return new LitestreamError(`the -wal file stays empty although the database was written to: ${wal.path}`, {
    code: 'UNAVAILABLE',
    retryable: true,
    operation: 'sync',
    object: wal.path,
    hint: 'Check that the database is in WAL mode. Litestream retries the sync.',
  });
}
