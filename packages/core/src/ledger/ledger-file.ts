/**
 * The page ledger on the disk: `ledger` in the metadata folder. A header of 48 bytes, then 8 bytes a page, little-endian.
 *
 *     0  magic "LSLEDGER"      8  version u32     12  page size u32   16  pages u32   20  0
 *    24  TXID u64             32  database checksum u64               40  CRC-64 of the 40 bytes before it
 *
 * Changed blocks are written in place, without fsync. After a crash, the blocks may be those of any later transaction. A reader
 * replays the level-0 files after the TXID of the header, and accepts the result only if its xor is the database checksum that
 * the last of these files states.
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { kernel } from '@litestream/ltx';
import { createFile, isOwnFile, OPEN_EXISTING } from '../files/safe-files.ts';
import { temporaryName } from '../files/temporary-files.ts';
import type { Ownership } from '../files/safe-files.ts';
import { BLOCK_ENTRIES, ENTRY_SIZE, PageLedger } from '../pages/page-ledger.ts';

const NAME = 'ledger';
const MAGIC = 0x4c_53_4c_45_44_47_45_52n;
const VERSION = 2;
const HEADER_SIZE = 48;
const CRC_OFFSET = 40;
const NOT_OURS: ReadonlySet<string> = new Set(['ENOENT', 'ELOOP', 'EISDIR', 'ENXIO', 'EACCES']);

/**
 * The ledger as it was last written, perhaps with blocks of later transactions. Undefined if there is none, or if it has more
 * than `pageCountMax` pages.
 */
export function readLedger(metaPath: string, pageCountMax: number): PageLedger | undefined {
  const fd = openIfThere(join(metaPath, NAME), OPEN_EXISTING.read);
  if (fd === undefined) return undefined;
  try {
    if (!fstatSync(fd).isFile()) return undefined;
    const header = Buffer.alloc(HEADER_SIZE);
    if (readSync(fd, header, 0, HEADER_SIZE, 0) < HEADER_SIZE || !isHeader(header)) return undefined;
    const pageCount = header.readUInt32LE(16);
    if (pageCount > pageCountMax || fstatSync(fd).size < HEADER_SIZE + pageCount * ENTRY_SIZE) return undefined;
    const checksums = new BigUint64Array(pageCount);
    const bytes = new Uint8Array(checksums.buffer);
    for (let done = 0; done < bytes.length;) {
      const count = readSync(fd, bytes, done, bytes.length - done, HEADER_SIZE + done);
      if (count === 0) return undefined;
      done += count;
    }
    return new PageLedger(header.readUInt32LE(12), header.readBigUInt64LE(24), checksums);
  } finally {
    closeSync(fd);
  }
}

/** Writes the blocks that changed since it was last read or written. Throws errors of the file system. */
export function writeLedger(metaPath: string, ledger: PageLedger, ownership: Ownership, isNew: boolean): void {
  const path = join(metaPath, NAME);
  const existing = isNew ? undefined : openIfThere(path, OPEN_EXISTING.readWrite);
  const blocks = ledger.takeChangedBlocks();
  if (existing === undefined) {
    writeWhole(path, ledger, ownership);
    return;
  }
  try {
    // Another file may have got this name, or another folder the name of this one.
    if (!isOwnFile(existing, ownership)) {
      writeWhole(path, ledger, ownership);
      return;
    }
    for (const block of blocks) writeEntries(existing, ledger, block * BLOCK_ENTRIES, (block + 1) * BLOCK_ENTRIES);
    ftruncateSync(existing, HEADER_SIZE + ledger.pageCount * ENTRY_SIZE);
    writeFully(existing, headerOf(ledger), 0);
  } finally {
    closeSync(existing);
  }
}

/** Deletes the file: it no longer matches any transaction. A folder in its place stays. */
export function removeLedger(metaPath: string): void {
  const path = join(metaPath, NAME);
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
  rmSync(path, { force: true });
}

function writeWhole(path: string, ledger: PageLedger, ownership: Ownership): void {
  const temporaryPath = temporaryName(path);
  const fd = createFile(temporaryPath, ownership);
  try {
    writeEntries(fd, ledger, 0, ledger.pageCount);
    writeFully(fd, headerOf(ledger), 0);
    renameSync(temporaryPath, path);
  } catch (error) {
    rmSync(temporaryPath, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

function writeEntries(fd: number, { checksums }: PageLedger, from: number, to: number): void {
  const { buffer, byteOffset, byteLength } = checksums.subarray(from, to);
  writeFully(fd, new Uint8Array(buffer, byteOffset, byteLength), HEADER_SIZE + from * ENTRY_SIZE);
}

function headerOf({ pageSize, pageCount, txid, databaseChecksum }: PageLedger): Buffer {
  const header = Buffer.alloc(HEADER_SIZE);
  header.writeBigUInt64BE(MAGIC, 0);
  header.writeUInt32LE(VERSION, 8);
  header.writeUInt32LE(pageSize, 12);
  header.writeUInt32LE(pageCount, 16);
  header.writeBigUInt64LE(txid, 24);
  header.writeBigUInt64LE(databaseChecksum, 32);
  header.writeBigUInt64LE(kernel().crc64(header.subarray(0, CRC_OFFSET)), CRC_OFFSET);
  return header;
}

function isHeader(header: Buffer): boolean {
  const isOurs = header.readBigUInt64BE(0) === MAGIC && header.readUInt32LE(8) === VERSION;
  return isOurs && header.readBigUInt64LE(CRC_OFFSET) === kernel().crc64(header.subarray(0, CRC_OFFSET));
}

function openIfThere(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags);
  } catch (error) {
    // What cannot be opened (a link, a folder, a socket) is not a ledger of ours.
    if (NOT_OURS.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

function writeFully(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
}
