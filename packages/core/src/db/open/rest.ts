/** Brings an open database to rest before it is closed: then a copy of the database file alone is complete. */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../util/error.ts';
import type { CheckpointContext } from '../checkpoint/checkpoint-context.ts';
import { checkpointNow } from '../checkpoint/checkpoint.ts';
import { fileStateOf, hasFineTime, readBootId, recordResync, writeRestRecord } from '../session/rest-record.ts';
import { SessionFaultError, findPathFault, reasonOf, requireUnchanged } from '../session/session-faults.ts';

/** A file system gives two writes within one tick the same time, but a later change must be visible. */
const CLOCK_GRAIN_MS = 50;

/** The same as `bringToRest`, but a failure leaves the WAL as it is, and is logged. */
export async function bringToRestOrLeave(context: CheckpointContext, metaPath: string): Promise<boolean> {
  try {
    return await bringToRest(context, metaPath);
  } catch (error) {
    context.logger.warn('database could not be brought to rest, its WAL stays', { error });
    return false;
  }
}

/**
 * Moves everything to the database file, empties the WAL, and records the TXID and the state of the file. False if
 * other connections read or write meanwhile, or the WAL was not read to its end: then it stays as it is, and its
 * running checksum tells the next start where to continue. False, and recorded, also if another program wrote to the
 * file.
 */
async function bringToRest(context: CheckpointContext, metaPath: string): Promise<boolean> {
  const { session, logger } = context;
  try {
    if (session.unrecordedReason === undefined) return await settle(context, metaPath);
    recordResync(metaPath, session.unrecordedReason, session);
  } catch (error) {
    if (error instanceof SessionFaultError) recordResync(metaPath, reasonOf(error.fault), session);
    else if (!hasCode(error, 'DATABASE_BUSY')) throw error;
    logger.debug('database is in use, its WAL stays', { error });
  }
  return false;
}

async function settle(context: CheckpointContext, metaPath: string): Promise<boolean> {
  const { session } = context;
  if (findPathFault(session) !== undefined || session.snapshots.size > 0) return false;
  requireUnchanged(session);
  // Nothing was written since the last rest, whose record still holds.
  if (session.state.kind === 'at-rest') return session.readVisible().frameCount === 0;
  if (!session.isCaughtUp) return false;
  await checkpointNow(context, 'PASSIVE');
  // The read transaction reads the database file alone now: until it is released, no checkpoint changes the file.
  const { descriptor, connections, ownership } = session;
  const ageMs = Date.now() - Number(fileStateOf(descriptor.fd).mtimeNs / 1_000_000n);
  if (ageMs < CLOCK_GRAIN_MS) await sleep(Math.min(CLOCK_GRAIN_MS, CLOCK_GRAIN_MS - ageMs));
  const { txid } = session;
  const file = fileStateOf(descriptor.fd);
  // The file as the checkpoint left it: a later write of another program must not be recorded as ours.
  const isMarked = session.mark !== undefined;
  requireUnchanged(session);
  const { last, isPartlyCompared } = session;
  const truncated = connections.checkpoint('TRUNCATE');
  context.onResult('TRUNCATE', truncated);
  if (truncated.busy) return false;
  if (last !== undefined && isMarked && !session.isLastLeftOut && hasFineTime(file)) {
    const { timestampMs, salt1, salt2, endOffset } = last;
    const place = { timestampMs, salt1, salt2, endOffset };
    const bootId = readBootId();
    writeRestRecord(metaPath, { kind: 'at-rest', txid, file, last: place, bootId, isPartlyCompared }, ownership);
  }
  return session.readVisible().frameCount === 0;
}
