/**
 * The record of the database file in the metadata folder. The WAL's checksums prove the WAL. This record proves that
 * the file below it is the one that was replicated, and not an older copy that took its place meanwhile.
 */
import { existsSync, fstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TXID } from '@litestream/ltx';
import { formatTxid } from '@litestream/ltx';
import { isNoSmallFile, readSmallFile, writeSmallFile } from '../../files/small-files.ts';
import type { Ownership } from '../../files/safe-files.ts';
import type { LastFile } from '../../local-ltx/last-file.ts';
import type { Session } from './session.ts';

/** Identity, size in bytes and time of a database file. Nothing that a change of owner or permissions touches. */
export interface FileState {
  readonly inode: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
}

/** Which level-0 file of its TXID the record belongs to: another timeline has another one. */
export interface FileOfRecord {
  readonly timestampMs: number;
  readonly salt1: number;
  readonly salt2: number;
  readonly endOffset: number;
}

export type RestRecord =
  /** A clean stop: the database was at rest, with nothing in its WAL. */
  | {
      readonly kind: 'at-rest';
      readonly txid: TXID;
      readonly file: FileState;
      readonly last: FileOfRecord;
      /** Where the system has one. */
      readonly bootId: string | undefined;
      readonly isPartlyCompared: boolean;
    }
  /** The file when it was last certain that only SQLite had written to it, and how much of which WAL it held then. */
  | {
      readonly kind: 'in-use';
      readonly file: FileState;
      readonly salt1: number;
      readonly salt2: number;
      /** Frames of that WAL that were in the file. */
      readonly backfilled: number;
      readonly bootId: string | undefined;
      /** As `Session.isPartlyCompared`: the comparison of all pages has not ended yet. */
      readonly isPartlyCompared: boolean;
    }
  /** The database file or its WAL was changed behind SQLite: a start must not continue from the WAL. */
  | { readonly kind: 'resync'; readonly reason: string };

const NAME = 'rest.json';
const VERSION = 2;

/**
 * Changes with each start of the system; undefined where it is not known. `fdatasync` makes data durable, and not the time
 * of the file: after a power cut a file may hold more than its time says.
 */
export function readBootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return undefined;
  }
}

/** Does the file system keep times so exactly that each change shows? Some keep whole seconds. */
export function hasFineTime({ mtimeNs }: FileState): boolean {
  return mtimeNs % 1_000_000_000n !== 0n;
}

export function fileStateOf(fd: number): FileState {
  const { ino, size, mtimeNs } = fstatSync(fd, { bigint: true });
  return { inode: ino, size, mtimeNs };
}

export function isSameFileState(a: FileState, b: FileState): boolean {
  return a.inode === b.inode && a.size === b.size && a.mtimeNs === b.mtimeNs;
}

/** Undefined if there is none, or another version wrote it: then nothing is known. */
export function readRestRecord(metaPath: string): RestRecord | undefined {
  try {
    const value = JSON.parse(readSmallFile(join(metaPath, NAME))) as Record<string, unknown> | null;
    if (value?.['version'] !== VERSION) return undefined;
    if (value['kind'] === 'resync') return { kind: 'resync', reason: String(value['reason']) };
    const { txid, inode, size, mtimeNs, bootId } = value;
    const common = {
      file: { inode: BigInt(String(inode)), size: BigInt(String(size)), mtimeNs: BigInt(String(mtimeNs)) },
      bootId: typeof bootId === 'string' ? bootId : undefined,
      isPartlyCompared: value['isPartlyCompared'] === true,
    };
    if (value['kind'] === 'in-use') {
      const { salt1, salt2, backfilled } = value;
      return { kind: 'in-use', ...common, salt1: Number(salt1), salt2: Number(salt2), backfilled: Number(backfilled) };
    }
    const last = value['last'] as FileOfRecord | null | undefined;
    if (last === null || last === undefined) return undefined;
    return { kind: 'at-rest', ...common, last, txid: BigInt(`0x${String(txid)}`) };
  } catch (error) {
    if (isNoSmallFile(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Durable when it returns, except for a database in use: a record of another start of the system proves nothing. */
export function writeRestRecord(metaPath: string, record: RestRecord, ownership: Ownership): void {
  const text = `${JSON.stringify({ version: VERSION, ...fieldsOf(record) })}\n`;
  writeSmallFile(join(metaPath, NAME), text, ownership, { durable: record.kind !== 'in-use' });
}

function fieldsOf(record: RestRecord): object {
  if (record.kind === 'resync') return record;
  const { file, bootId, isPartlyCompared } = record;
  const times = { inode: String(file.inode), size: String(file.size), mtimeNs: String(file.mtimeNs), bootId };
  const common = { ...times, isPartlyCompared };
  if (record.kind === 'at-rest')
    return { ...common, kind: record.kind, txid: formatTxid(record.txid), last: record.last };
  const { salt1, salt2, backfilled } = record;
  return { ...common, kind: record.kind, salt1, salt2, backfilled };
}

/** Is it the record of this file, made since the system was started? */
export function isRecordOf(record: RestRecord | undefined, last: LastFile): record is RestRecord & { kind: 'at-rest' } {
  if (record?.kind !== 'at-rest' || record.txid !== last.txid || record.bootId !== readBootId()) return false;
  const { timestampMs, salt1, salt2, endOffset } = record.last;
  const isSamePlace = salt1 === last.salt1 && salt2 === last.salt2 && endOffset === last.endOffset;
  return isSamePlace && timestampMs === last.timestampMs;
}

/** All pages were compared: the next start need not repeat the comparison that an earlier start left due. */
export function recordCompared(metaPath: string, ownership: Ownership): void {
  const record = readRestRecord(metaPath);
  if (record === undefined || record.kind === 'resync' || !record.isPartlyCompared) return;
  writeRestRecord(metaPath, { ...record, isPartlyCompared: false }, ownership);
}

/**
 * The next start replicates the whole database, even if its WAL would continue the last file. If the folder is gone, it
 * does that anyway.
 */
export function recordResync(metaPath: string, reason: string, session: Pick<Session, 'ownership' | 'recorded'>): void {
  if (existsSync(metaPath)) writeRestRecord(metaPath, { kind: 'resync', reason }, session.ownership);
  session.recorded = undefined;
}
