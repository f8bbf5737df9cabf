/** Reads the headers of a database file, and of the files beside it, without SQLite. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { OPEN_EXISTING } from '../../files/safe-files.ts';
import { WAL_FRAME_HEADER_SIZE, WAL_HEADER_SIZE } from '../wal/wal-header.ts';

export const DATABASE_HEADER_SIZE = 100;

export const DATABASE_MAGIC: Buffer = Buffer.from('SQLite format 3\0', 'latin1');

/** Offsets are those of SQLite's file format document, section 1.3. */
const SCHEMA_FORMAT_OFFSET = 44;

/** A WAL with more frames before its first commit of page 1 is not new: the database has tables. */
const SCHEMA_FRAMES_MAX = 1000;

export interface DatabaseHeader {
  /** Bytes: a power of two from 512 to 65536. */
  readonly pageSize: number;
  readonly isWal: boolean;
  /** Grows with each transaction in rollback mode. */
  readonly changeCounter: number;
  /** Pages; undefined if the last writer did not update the number. */
  readonly pageCount: number | undefined;
  /** Has a table ever existed? Until then page size, encoding and auto_vacuum may still be changed. */
  readonly hasSchema: boolean;
}

/** Undefined for bytes that are no header of a database. */
export function parseDatabaseHeader(bytes: Buffer): DatabaseHeader | undefined {
  if (bytes.length < DATABASE_HEADER_SIZE || !bytes.subarray(0, DATABASE_MAGIC.length).equals(DATABASE_MAGIC))
    return undefined;
  const raw = bytes.readUInt16BE(16);
  const pageSize = raw === 1 ? 65536 : raw;
  if (pageSize < 512 || (pageSize & (pageSize - 1)) !== 0) return undefined;
  const changeCounter = bytes.readUInt32BE(24);
  const pageCount = bytes.readUInt32BE(28);
  return {
    pageSize,
    isWal: bytes[18] === 2,
    changeCounter,
    // "In-header database size", valid only if the change counter equals "version-valid-for" (1.3.7).
    pageCount: pageCount > 0 && changeCounter === bytes.readUInt32BE(92) ? pageCount : undefined,
    hasSchema: bytes.readUInt32BE(SCHEMA_FORMAT_OFFSET) !== 0,
  };
}

/** Is the database in WAL mode, according to its header? */
export function isInWalMode(fd: number): boolean {
  return parseDatabaseHeader(head(fd, DATABASE_HEADER_SIZE))?.isWal === true;
}

/** Does the newest committed page 1 in the WAL, if there is one, state a schema? Opening a `-wal` drops no lock. */
export function hasSchemaInWal(walPath: string): boolean {
  return withFile(walPath, false, (fd) => {
    const header = Buffer.alloc(WAL_HEADER_SIZE);
    if (readSync(fd, header, 0, header.length, 0) < header.length) return false;
    const pageSize = header.readUInt32BE(8);
    if (!isWalHeader(header) || pageSize < 512) return false;
    const frame = Buffer.alloc(WAL_FRAME_HEADER_SIZE + SCHEMA_FORMAT_OFFSET + 4);
    let hasSchema = false;
    /** The value after the transaction that is being read. */
    let next = false;
    for (let count = 0, offset = WAL_HEADER_SIZE; ; offset += WAL_FRAME_HEADER_SIZE + pageSize) {
      if (readSync(fd, frame, 0, frame.length, offset) < frame.length) return hasSchema;
      // Frames of an earlier generation have other salts.
      if (!frame.subarray(8, 16).equals(header.subarray(16, 24))) return hasSchema;
      if (frame.readUInt32BE(0) === 1) next = frame.readUInt32BE(WAL_FRAME_HEADER_SIZE + SCHEMA_FORMAT_OFFSET) !== 0;
      if (frame.readUInt32BE(4) > 0) hasSchema = next;
      if (++count > SCHEMA_FRAMES_MAX) return true;
    }
  });
}

/** Is there a WAL, or a rollback journal, from which SQLite would recover the full database file? */
export function hasRecovery(path: string): boolean {
  const journalMagic = Buffer.from('d9d505f920a163d7', 'hex');
  return (
    withFile(`${path}-journal`, false, (fd) => head(fd, journalMagic.length).equals(journalMagic)) ||
    withFile(`${path}-wal`, false, (fd) => fstatSync(fd).size > WAL_HEADER_SIZE && isWalHeader(head(fd, 4)))
  );
}

/** Does this WAL belong to a wal-index with these salts, and have all frames that the wal-index states? */
export function holdsFrames(
  walPath: string,
  index: { readonly salts: Uint8Array; readonly frameCount: number; readonly pageSize: number },
): boolean {
  return withFile(walPath, false, (fd) => {
    const size = WAL_HEADER_SIZE + index.frameCount * (WAL_FRAME_HEADER_SIZE + index.pageSize);
    const header = head(fd, WAL_HEADER_SIZE);
    return isWalHeader(header) && fstatSync(fd).size >= size && header.subarray(16, 24).equals(index.salts);
  });
}

function isWalHeader(start: Buffer): boolean {
  return start.length >= 4 && (start.readUInt32BE(0) & 0xffff_fffe) >>> 0 === 0x377f_0682;
}

function head(fd: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  return bytes.subarray(0, readSync(fd, bytes, 0, size, 0));
}

function withFile<T>(path: string, otherwise: T, read: (fd: number) => T): T {
  let fd: number;
  try {
    fd = openSync(path, OPEN_EXISTING.read);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return otherwise;
    throw error;
  }
  try {
    return read(fd);
  } finally {
    closeSync(fd);
  }
}
