/**
 * Faults that prevent a session from seeing all commits. While there is one, a look that finds nothing new proves
 * nothing, and nothing may be acknowledged.
 */
import { existsSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Op } from '../../storage/contract/contract.ts';
import { LitestreamError } from '../../util/error.ts';
import type { LitestreamErrorCode } from '../../util/error.ts';
import { isLockedElsewhere } from '../../sqlite/driver/file-locks.ts';
import { listOpenFiles } from '../../sqlite/driver/open-files.ts';
import { isChangedOutsideSqlite, markDatabase } from '../../sqlite/database-file/database-mark.ts';
import { isInWalMode } from '../../sqlite/database-file/database-header.ts';
import type { DatabaseDescriptor } from '../../sqlite/database-file/descriptor.ts';
import type { Session } from './session.ts';

interface FaultFacts {
  readonly code: LitestreamErrorCode;
  readonly what: string;
  readonly hint: string;
}

/** How often, and at which interval, to look for a missing WAL: for half a second in all. */
const LOOKS_MAX = 11;
const LOOK_DELAY_MS = 50;

/** A WAL, `-shm` or lock was lost or replaced, or a program other than SQLite wrote to the database file. */
export type SessionFault =
  | 'wal-deleted'
  | 'wal-replaced'
  | 'shm-lost'
  | 'locks-lost'
  | 'database-changed'
  | 'pages-differ'
  | 'pages-unproven';

const FAULTS: Readonly<Record<SessionFault, FaultFacts>> = {
  'wal-deleted': {
    code: 'WAL_LOST',
    what: 'the -wal file was deleted while in use',
    hint: 'Close all connections to this database; the last one to close checkpoints the WAL. Then open it again. Until then commits are not acknowledged.',
  },
  'wal-replaced': {
    code: 'WAL_LOST',
    what: 'the -wal file was replaced while in use',
    hint: 'Use one SQLite library in each process (the option `driver`), and let only SQLite touch the -wal file. The pages that differ are replicated again.',
  },
  'shm-lost': {
    code: 'LOCKS_LOST',
    what: 'the -shm file was deleted or replaced while in use',
    hint: 'Use one SQLite library in each process (the option `driver`), and let only SQLite touch the -shm file. The pages that differ are replicated again.',
  },
  'locks-lost': {
    code: 'LOCKS_LOST',
    what: "this process lost SQLite's locks on the database",
    hint: 'In this process, open the database and its -shm only with the SQLite library that Litestream uses: set the option `driver`. Closing such a descriptor drops the locks. The pages that differ are replicated again.',
  },
  'database-changed': {
    code: 'DATABASE_CHANGED',
    what: 'the database file was written to by a program other than SQLite',
    hint: 'To put another database in place, stop the programs that use it, or restore into it with SQLite (`.restore`). The pages that differ are replicated again.',
  },
  'pages-differ': {
    code: 'DATABASE_CHANGED',
    what: 'pages of the database differ from what was replicated',
    hint: 'Check the disk, and whether a program other than SQLite writes to the database. The pages that differ are replicated next.',
  },
  'pages-unproven': {
    code: 'DATABASE_CHANGED',
    what: 'the database was written to while it was not replicated, and the page ledger was lost',
    hint: 'No action is needed. The whole database is replicated next.',
  },
};

/** Thrown by a sync that finds a fault. */
export class SessionFaultError extends Error {
  override readonly name = 'SessionFaultError';
  readonly fault: SessionFault;

  constructor(fault: SessionFault) {
    super(FAULTS[fault].what);
    this.fault = fault;
  }
}

/** Are the WAL and the `-shm` at their paths the ones that are open? */
export function findPathFault({ path, wal, index }: Session): SessionFault | undefined {
  if (wal.isDeleted()) return 'wal-deleted';
  if (wal.isReplaced()) return 'wal-replaced';
  const shm = statSync(`${path}-shm`, { bigint: true, throwIfNoEntry: false });
  return shm === undefined || shm.ino !== index.inode ? 'shm-lost' : undefined;
}

/**
 * The same; also, has only SQLite written to the database file since the last call? Costs a few calls of `stat` and
 * `read`.
 */
export function findFault(session: Session): SessionFault | undefined {
  return findPathFault(session) ?? findChange(session);
}

/** Call before work that changes the database file or records its state: an earlier change would look like our own. */
export function requireUnchanged(session: Session): void {
  const fault = findChange(session);
  if (fault !== undefined) throw new SessionFaultError(fault);
}

function findChange(session: Session): SessionFault | undefined {
  const mark = markDatabase(session.descriptor.fd, session.index.fd);
  const before = session.mark;
  if (mark !== undefined) session.mark = mark;
  if (before === undefined || mark === undefined) return undefined;
  const isHeld = session.state.kind === 'backfilled' && !session.state.isPinMoved;
  if (!isChangedOutsideSqlite(before, mark, isHeld)) return undefined;
  return areLocksLost(session) ? 'locks-lost' : 'database-changed';
}

/**
 * Were the locks dropped that this process took when it opened the database? False if the system does not list locks.
 */
export function areLocksLost({ openingLocks }: Session): boolean {
  return openingLocks !== undefined && !openingLocks.areHeld();
}

export function faultError(fault: SessionFault, { path }: Session): LitestreamError {
  return errorOf(fault, path);
}

function errorOf(fault: SessionFault, path: string): LitestreamError {
  const { code, what, hint } = FAULTS[fault];
  const object = fault.startsWith('wal') ? `${path}-wal` : fault === 'shm-lost' ? `${path}-shm` : path;
  return new LitestreamError(`${what}: ${object}`, { code, retryable: true, operation: 'sync', object, hint });
}

export function reasonOf(fault: SessionFault): string {
  return FAULTS[fault].what;
}

/**
 * Throws `WAL_LOST` if a connection, of this process or another, may still write to a WAL that was deleted: a new
 * connection would create a second WAL beside it. Call this before our first connection is opened.
 *
 * SQLite deletes the WAL only when the last connection closes. Otherwise a database in WAL mode that another process
 * has locked lacks its WAL only for an instant, while that process opens it: so this looks again.
 */
export async function refuseDeletedWal(
  path: string,
  { fd, inode }: DatabaseDescriptor,
  { signal }: Op = {},
): Promise<void> {
  for (let looks = 1; ; looks++) {
    if (existsSync(`${path}-wal`)) return;
    const isLocked = isInWalMode(fd) && (await isLockedElsewhere(inode));
    if (!isLocked && (await listOpenFiles())?.hasDeleted(`${path}-wal`) !== true) return;
    if (looks === LOOKS_MAX) throw errorOf('wal-deleted', path);
    await sleep(LOOK_DELAY_MS, undefined, signal === undefined ? {} : { signal });
  }
}
