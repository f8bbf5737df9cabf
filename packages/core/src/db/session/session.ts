import { fstatSync, readSync } from 'node:fs';
import type { TXID } from '@litestream/ltx';
import { LitestreamError } from '../../util/error.ts';
import type { WalFile } from '../../sqlite/wal/wal-file.ts';
import type { VisibleWal } from '../../sqlite/wal/wal-index.ts';
import { readVisibleWal } from '../../sqlite/wal/wal-index.ts';
import type { OpeningLocks } from '../../sqlite/driver/opening-locks.ts';
import type { Connections } from './connections.ts';
import type { DatabaseDescriptor } from '../../sqlite/database-file/descriptor.ts';
import type { DatabaseMark } from '../../sqlite/database-file/database-mark.ts';
import type { Ownership } from '../../files/safe-files.ts';
import type { LastFile } from '../../local-ltx/last-file.ts';
import type { WalEvent, WalState } from './wal-state.ts';
import { isHeld, transition } from './wal-state.ts';

/** What a disk copies, until it is measured: 200 MB/s. */
const USUAL_BYTES_PER_MS = 200_000;

/** When to checkpoint next. */
export interface CheckpointProgress {
  /** A level-0 file was published since the last checkpoint. */
  isSyncedSince: boolean;
  /** When that was last: of `performance.now()`, in ms. */
  publishedAtMs: number;
  /** When a checkpoint was last tried, or the session began: of a monotonic clock, in ms. */
  triedAtMs: number;
  /**
   * Writers added more than half of what the last checkpoint beside them moved: another one would only delay the next
   * sync.
   */
  isOutpaced: boolean;
  /** How fast the last large checkpoint copied pages. */
  bytesPerMs: number;
  /** A PASSIVE checkpoint did not bring the WAL below the TRUNCATE threshold. */
  hasPassiveFailed: boolean;
}

/** A snapshot that is being read from a session's database. */
export interface RunningSnapshot {
  readonly abort: () => void;
  readonly done: Promise<void>;
}

/** The open files of a database, which stay the same as long as the session lasts. */
export interface SessionParts {
  readonly path: string;
  readonly descriptor: DatabaseDescriptor;
  /** Of the `-shm`. Never closed while this process has a connection to the database. */
  readonly index: DatabaseDescriptor;
  readonly connections: Connections;
  readonly wal: WalFile;
  readonly ownership: Ownership;
  /** Another program wrote the timeline up to where this session began. */
  readonly otherProgram: boolean;
  /** Undefined where the system does not list the locks of a process. */
  readonly openingLocks: OpeningLocks | undefined;
}

/** Where a session begins. */
export interface SessionStart {
  readonly state: WalState;
  readonly txid: TXID;
  /** Of a monotonic clock, in ms. */
  readonly nowMs: number;
  readonly isPartlyCompared: boolean;
}

/** One database file while it is open. A new session begins when the file is replaced. */
export class Session {
  readonly path: string;
  readonly descriptor: DatabaseDescriptor;
  readonly index: DatabaseDescriptor;
  readonly connections: Connections;
  readonly wal: WalFile;
  readonly ownership: Ownership;
  readonly pageSize: number;
  readonly otherProgram: boolean;
  readonly openingLocks: OpeningLocks | undefined;
  readonly checkpoint: CheckpointProgress;
  /** Snapshots that are being read. The descriptors stay open until they are done. */
  readonly snapshots: Set<RunningSnapshot> = new Set<RunningSnapshot>();
  /** How the database file looked when it was last certain that only SQLite had written to it. */
  mark: DatabaseMark | undefined;
  /** Why the next start must replicate the whole database, if that could not be recorded. */
  unrecordedReason: string | undefined;
  /** How the database file was when that was last recorded for the next start. */
  recorded: DatabaseMark | undefined;
  /** The last transaction has no local file (`leave-out.ts`): a start cannot continue from it. */
  isLastLeftOut = false;
  /**
   * The database file was written to before this session, or an earlier one, began, and only pages that the WAL held were compared
   * since.
   */
  isPartlyCompared: boolean;
  #state: WalState;
  #txid: TXID;
  #lastInode: bigint | undefined;

  constructor(parts: SessionParts, start: SessionStart) {
    this.path = parts.path;
    this.descriptor = parts.descriptor;
    this.index = parts.index;
    this.connections = parts.connections;
    this.wal = parts.wal;
    this.ownership = parts.ownership;
    this.pageSize = parts.connections.pageSize;
    this.otherProgram = parts.otherProgram;
    this.openingLocks = parts.openingLocks;
    this.checkpoint = {
      isSyncedSince: false,
      publishedAtMs: 0,
      triedAtMs: start.nowMs,
      isOutpaced: false,
      bytesPerMs: USUAL_BYTES_PER_MS,
      hasPassiveFailed: false,
    };
    this.isPartlyCompared = start.isPartlyCompared;
    this.#state = start.state;
    this.#txid = start.txid;
  }

  get state(): WalState {
    return this.#state;
  }

  /** The last level-0 file, whether or not the next one continues from it. */
  get last(): LastFile | undefined {
    return this.#state.last;
  }

  /** That file on the disk, if this session wrote it. */
  get lastInode(): bigint | undefined {
    return this.#lastInode;
  }

  /** Highest TXID in use, whether its file is here or not. */
  get txid(): TXID {
    return this.#txid;
  }

  /**
   * All pages must be compared with what was replicated: the last level-0 file does not state the checksum of the database
   * after it, or the start compared only some of the pages.
   */
  get isComparisonDue(): boolean {
    return this.isPartlyCompared || (this.last?.databaseChecksum === 0n && !this.isLastLeftOut);
  }

  /** Everything visible was read, and the WAL can restart only where we stopped. */
  get isCaughtUp(): boolean {
    return isHeld(this.#state);
  }

  /** All of the WAL is in the database file: another checkpoint has nothing to do. */
  get isBackfilled(): boolean {
    return this.#state.kind === 'backfilled';
  }

  /** TXIDs up to this one are in use elsewhere: the next file is above it, and must hold every page. */
  raise(txid: TXID): void {
    if (txid > this.#txid) this.#txid = txid;
  }

  apply(event: WalEvent): void {
    this.#state = transition(this.#state, event);
  }

  /** Call this once the file of the next transaction has its name. */
  published(last: LastFile, inode: bigint | undefined): void {
    this.#txid = last.txid;
    this.#lastInode = inode;
    this.isLastLeftOut = false;
    this.checkpoint.isSyncedSince = true;
    this.checkpoint.publishedAtMs = performance.now();
  }

  /**
   * What readers of the WAL see now. Throws `UNAVAILABLE` if that cannot be read.
   *
   * A writer that is killed while it writes the wal-index header leaves two copies that differ: the next connection that
   * begins to read recovers it.
   */
  readVisible(): VisibleWal {
    const visible = readVisibleWal(this.index.fd) ?? this.#recoverIndex();
    if (visible !== undefined) return visible;
    throw new LitestreamError(`the -shm file cannot be read: ${this.path}-shm`, {
      code: 'UNAVAILABLE',
      retryable: true,
      operation: 'sync',
      object: `${this.path}-shm`,
      hint: 'Wait: the next program that reads the database repairs the file. Do not delete or edit it.',
    });
  }

  #recoverIndex(): VisibleWal | undefined {
    this.connections.recoverIndex();
    return readVisibleWal(this.index.fd);
  }
}

/** Pages of the database file, when the WAL holds no commit: by its header if that is current, else by its size. */
export function pageCountOfFile(descriptor: DatabaseDescriptor, pageSize: number): number {
  const { size } = fstatSync(descriptor.fd);
  const header = Buffer.alloc(100);
  if (readSync(descriptor.fd, header, 0, header.length, 0) === header.length) {
    // "In-header database size", valid only if the change counter equals "version-valid-for" (SQLite file format, 1.3.7).
    const count = header.readUInt32BE(28);
    if (count > 0 && header.readUInt32BE(24) === header.readUInt32BE(92)) return count;
  }
  return Math.ceil(size / pageSize);
}
