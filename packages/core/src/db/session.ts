import { fstatSync, readSync } from 'node:fs';
import type { LtxHeader, TXID } from '@litestream/ltx';
import type { DatabaseDescriptor } from './descriptor.ts';
import type { Successor } from './compare-with-log.ts';
import { endOffsetOf } from './log-place.ts';
import type { Connections } from './connections.ts';
import type { WalScanStart } from '../wal/scan.ts';
import type { WalFile } from '../wal/wal-file.ts';
import type { WalSums } from '../wal/wal-header.ts';
import type { Ownership } from './local-ltx.ts';

/** The last level-0 file: where the next one begins. */
export interface LastFile {
  readonly txid: TXID;
  readonly commit: number;
  readonly pageSize: number;
  readonly timestampMs: number;
  readonly salt1: number;
  readonly salt2: number;
  /** Offset in the log after its last frame. */
  readonly endOffset: number;
}

/** What is known of a database file while it is open. A new one begins when the file is replaced. */
export interface Session {
  readonly descriptor: DatabaseDescriptor;
  readonly connections: Connections;
  readonly wal: WalFile;
  readonly ownership: Ownership;
  readonly pageSize: number;
  /** In the names of temporary files, which are of this session alone: others may be at the same transaction. */
  readonly tag: string;
  last: LastFile | undefined;
  /** That file on the disk, if this session wrote it. */
  lastInode?: bigint | undefined;
  /** The `-shm` file as of the opening: the locks are in it. Undefined if there is none. */
  readonly shmInode: bigint | undefined;
  /** Cumulative checksum at `last.endOffset`, once it is proven that the log there is the one we know. */
  endSums: WalSums | undefined;
  /** Where the last transaction that was read begins, while nothing proves that SQLite counts it: see `counted.ts`. */
  unproven: WalScanStart | undefined;
  /** The generation that is proven to follow that of the last file; found on start. */
  successor: Successor | undefined;
  /** Highest TXID in use, whether its file is here or not. */
  txid: TXID;
  /** Why the next file must be a snapshot, if it must. */
  snapshotDue: string | undefined;
  /** The history up to the place where this session began was written by another program. */
  readonly otherProgram?: boolean;
  /** The log was read to its end since the pin was first taken: it has been held without a break since. */
  caughtUp: boolean;
  /** The same, but of the pin as it was last moved: only then may it be moved again. */
  readSincePin: boolean;
  /** Data went out since the last checkpoint. */
  syncedSinceCheckpoint: boolean;
  /** All of the log is in the database file: another checkpoint has nothing to do. */
  fullyCheckpointed: boolean;
  /** When a checkpoint was last tried, or the session began. */
  checkpointedAtMs: number;
  /** It was said that the log was deleted under us. */
  isLogDeletedTold?: boolean | undefined;
  /** Snapshots that are being read. The descriptors stay open until they are done. */
  readonly snapshots: Set<RunningSnapshot>;
  /** A PASSIVE checkpoint did not bring the log below the TRUNCATE threshold. */
  passiveFailed: boolean;
}

/** A snapshot that is being read from a session's database. */
export interface RunningSnapshot {
  readonly abort: () => void;
  readonly done: Promise<void>;
}

/** Read to its end, under a pin that has held since: from here on nothing of the log can be missed. */
export function trustLog(session: Session): void {
  session.caughtUp = true;
  session.readSincePin = true;
}

/** From here on only a snapshot is sure to miss nothing, unless the log proves to be the one we know. */
export function distrustLog(session: Session): void {
  session.caughtUp = false;
  session.readSincePin = false;
}

export function lastFileOf(header: LtxHeader): LastFile {
  return {
    txid: header.maxTxid,
    commit: header.commit,
    pageSize: header.pageSize,
    timestampMs: header.timestampMs,
    salt1: header.salt1,
    salt2: header.salt2,
    endOffset: endOffsetOf(header),
  };
}

/** Pages of the database file, when the log holds no commit: by its header if that is current, else by its size. */
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
