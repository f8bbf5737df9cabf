import type { LtxExtension } from './extension.ts';
import type { TXID } from './txid.ts';

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
  /** Where in the WAL the pages came from, in bytes; 0 if from no WAL. */
  readonly walOffset: number;
  readonly walSize: number;
  readonly salt1: number;
  readonly salt2: number;
  readonly nodeId: bigint;
  /** What this project keeps in the 20 reserved bytes; absent in files of others. */
  readonly extension?: LtxExtension;
}

/** A header with defaults for what is not given: no checksums, no WAL, the time now. */
export function newHeader(
  fields: Partial<LtxHeader> & Pick<LtxHeader, 'pageSize' | 'commit' | 'minTxid' | 'maxTxid'>,
): LtxHeader {
  throw new Error(`not built yet: ${String(fields)}`);
}

/** The 100 bytes. Throws `LtxError` (`BAD_HEADER`) for a header that must not be written. */
export function encodeHeader(header: LtxHeader): Uint8Array {
  throw new Error(`not built yet: ${String(header)}`);
}

/** Reads and validates a header. Throws `LtxError`: `TRUNCATED`, `NOT_LTX`, `BAD_HEADER`. */
export function decodeHeader(bytes: Uint8Array): LtxHeader {
  throw new Error(`not built yet: ${String(bytes)}`);
}
