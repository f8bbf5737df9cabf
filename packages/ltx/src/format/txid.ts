import { LtxError } from './error.ts';

/** A transaction number: 1 … 2^64 - 1. Zero means "none". */
export type TXID = bigint;

const TXID_PATTERN = /^[0-9a-fA-F]{16}$/;
const NAME_PATTERN = /^([0-9a-f]{16})-([0-9a-f]{16})\.ltx$/;

/** 16 lower-case hexadecimal digits. */
export function formatTxid(txid: TXID): string {
  return txid.toString(16).padStart(16, '0');
}

/** Reads 16 hexadecimal digits. Throws `LtxError` with code `BAD_TXID` for anything else. */
export function parseTxid(text: string): TXID {
  if (!TXID_PATTERN.test(text)) {
    throw new LtxError('BAD_TXID', `not a transaction id, which has 16 hexadecimal digits: ${JSON.stringify(text)}`);
  }
  return BigInt(`0x${text}`);
}

/** The name of the file that holds these transactions: `0000000000000001-0000000000000002.ltx`. */
export function formatLtxFilename(minTxid: TXID, maxTxid: TXID): string {
  return `${formatTxid(minTxid)}-${formatTxid(maxTxid)}.ltx`;
}

/** The transactions of a file name; undefined for names of another form. */
export function parseLtxFilename(name: string): { minTxid: TXID; maxTxid: TXID } | undefined {
  const match = NAME_PATTERN.exec(name);
  if (match === null) return undefined;
  return { minTxid: BigInt(`0x${match[1]}`), maxTxid: BigInt(`0x${match[2]}`) };
}
