import { CHECKSUM_FLAG, HEADER_FLAG_NO_CHECKSUM, HEADER_SIZE, isPageSize } from './constants.ts';
import { LtxError } from './error.ts';
import { readExtension, writeExtension } from './extension.ts';
import type { LtxExtension } from './extension.ts';
import type { TXID } from './txid.ts';

const MAGIC = 0x4c545831;
const U32_MAX = 2 ** 32 - 1;
/** Largest distance from 1970 that a `Date` can have, in ms. */
const TIME_MS_MAX = 8.64e15;
const U64_MAX = 2n ** 64n - 1n;

/** The 100 bytes at the start of a file. */
export interface LtxHeader {
  readonly flags: number;
  /** Bytes: a power of two, 512 … 65536. */
  readonly pageSize: number;
  /** Size of the database after the last transaction, in pages. */
  readonly commit: number;
  readonly minTxid: TXID;
  readonly maxTxid: TXID;
  /** When the last transaction was read, in ms since 1970. */
  readonly timestampMs: number;
  /** Checksum of the database before the file is applied; 0 in snapshots and in files without checksums. */
  readonly preApplyChecksum: bigint;
  /** Offset in the WAL of the first frame of the pages, in bytes; 0 if they are not from a WAL. */
  readonly walOffset: number;
  /** Bytes of the WAL that the pages are from. */
  readonly walSize: number;
  readonly salt1: number;
  readonly salt2: number;
  readonly nodeId: bigint;
  /** The data of this project in the 20 reserved bytes; absent in files of other programs. */
  readonly extension?: LtxExtension;
}

/** True for a file that starts at the first transaction, so that it holds the whole database. */
export function isSnapshot(header: Pick<LtxHeader, 'minTxid'>): boolean {
  return header.minTxid === 1n;
}

/** True for a file with checksums of the database before and after it. */
export function hasChecksums(header: Pick<LtxHeader, 'flags'>): boolean {
  return (header.flags & HEADER_FLAG_NO_CHECKSUM) === 0;
}

/**
 * False if `next` states that it starts from another database than `before` leaves. True also if one of them states no
 * checksum, or `next` does not begin with the next transaction.
 */
export function isChained(
  before: Pick<LtxHeader, 'maxTxid' | 'extension'>,
  next: Pick<LtxHeader, 'minTxid' | 'extension'>,
): boolean {
  const left = before.extension?.databaseChecksum ?? 0n;
  const found = next.extension?.previousChecksumHigh ?? 0;
  if (left === 0n || found === 0 || next.minTxid !== before.maxTxid + 1n) return true;
  return Number(left >> 32n) === found;
}

/** A header with defaults for missing fields: no checksums, no WAL, the current time. Not validated yet. */
export function newHeader(
  fields: Partial<LtxHeader> & Pick<LtxHeader, 'pageSize' | 'commit' | 'minTxid' | 'maxTxid'>,
): LtxHeader {
  return {
    flags: HEADER_FLAG_NO_CHECKSUM,
    timestampMs: Date.now(),
    preApplyChecksum: 0n,
    walOffset: 0,
    walSize: 0,
    salt1: 0,
    salt2: 0,
    nodeId: 0n,
    ...fields,
  };
}

/** Encodes a header as 100 bytes. Throws `LtxError` (`BAD_HEADER`) for an invalid header. */
export function encodeHeader(header: LtxHeader): Uint8Array {
  validateHeader(header);
  const bytes = new Uint8Array(HEADER_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, header.flags);
  view.setUint32(8, header.pageSize);
  view.setUint32(12, header.commit);
  view.setBigUint64(16, header.minTxid);
  view.setBigUint64(24, header.maxTxid);
  view.setBigInt64(32, BigInt(header.timestampMs));
  view.setBigUint64(40, header.preApplyChecksum);
  view.setBigInt64(48, BigInt(header.walOffset));
  view.setBigInt64(56, BigInt(header.walSize));
  view.setUint32(64, header.salt1);
  view.setUint32(68, header.salt2);
  view.setBigUint64(72, header.nodeId);
  if (header.extension !== undefined) writeExtension(view, header.extension);
  return bytes;
}

/** Reads and validates a header. Throws `LtxError`: `TRUNCATED`, `NOT_LTX`, `BAD_HEADER`. */
export function decodeHeader(bytes: Uint8Array, options: { readonly file?: string | undefined } = {}): LtxHeader {
  const { file } = options;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length >= 4 && view.getUint32(0) !== MAGIC) {
    throw new LtxError('NOT_LTX', 'does not start with "LTX1"', { file, offset: 0 });
  }
  if (bytes.length < HEADER_SIZE) {
    throw new LtxError('TRUNCATED', `header of ${HEADER_SIZE} bytes ends early`, { file, offset: bytes.length });
  }
  const extension = readExtension(view, file);
  const header: LtxHeader = {
    flags: view.getUint32(4),
    pageSize: view.getUint32(8),
    commit: view.getUint32(12),
    minTxid: view.getBigUint64(16),
    maxTxid: view.getBigUint64(24),
    timestampMs: Number(view.getBigInt64(32)),
    preApplyChecksum: view.getBigUint64(40),
    walOffset: Number(view.getBigInt64(48)),
    walSize: Number(view.getBigInt64(56)),
    salt1: view.getUint32(64),
    salt2: view.getUint32(68),
    nodeId: view.getBigUint64(72),
    ...(extension === undefined ? {} : { extension }),
  };
  validateHeader(header, file);
  return header;
}

/** Throws `LtxError` (`BAD_HEADER`) unless every field is in range and consistent with the others. */
export function validateHeader(header: LtxHeader, file?: string): void {
  const check = (holds: boolean, offset: number, what: string): void => {
    if (!holds) throw new LtxError('BAD_HEADER', `header: ${what}`, { file, offset });
  };
  const { flags, minTxid, maxTxid, walOffset, walSize, preApplyChecksum } = header;
  check(flags === 0 || flags === HEADER_FLAG_NO_CHECKSUM, 4, `unknown flags 0x${flags.toString(16)}`);
  check(isPageSize(header.pageSize), 8, `page size ${header.pageSize} is not a power of two from 512 to 65536`);
  check(isUint32(header.commit), 12, `database size ${header.commit} is not a number of pages`);
  check(minTxid >= 1n && minTxid <= U64_MAX, 16, 'first transaction id is missing');
  check(maxTxid >= 1n && maxTxid <= U64_MAX, 24, 'last transaction id is missing');
  check(minTxid <= maxTxid, 16, `transaction ids out of order: ${minTxid}, ${maxTxid}`);
  const isTime = Number.isSafeInteger(header.timestampMs) && Math.abs(header.timestampMs) <= TIME_MS_MAX;
  check(isTime, 32, 'time out of range');
  check(Number.isSafeInteger(walOffset) && walOffset >= 0, 48, `WAL offset ${walOffset} out of range`);
  check(Number.isSafeInteger(walSize) && walSize >= 0, 56, `WAL size ${walSize} out of range`);
  check(isUint32(header.salt1) && isUint32(header.salt2), 64, 'WAL salt out of range');
  check((header.salt1 === 0 && header.salt2 === 0) || walOffset !== 0, 48, 'WAL salts without a WAL offset');
  check(walSize === 0 || walOffset !== 0, 48, 'WAL size without a WAL offset');
  check(header.nodeId >= 0n && header.nodeId <= U64_MAX, 72, 'node id out of range');
  if (isSnapshot(header)) {
    check(preApplyChecksum === 0n, 40, 'a snapshot has no checksum of the database before it');
  } else if (hasChecksums(header)) {
    const flagged = preApplyChecksum >= CHECKSUM_FLAG && preApplyChecksum <= U64_MAX;
    check(flagged, 40, 'checksum of the database before is missing or lacks its flag');
  } else {
    check(preApplyChecksum === 0n, 40, 'checksum of the database before, in a file without checksums');
  }
}

function isUint32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= U32_MAX;
}
