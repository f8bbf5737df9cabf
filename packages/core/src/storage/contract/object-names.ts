/**
 * Names and metadata that every backend writes in the same way, so that clients can take them from core. Source of the
 * facts: Litestream 0.5 as observed on each backend (`docs/reports/backends.md`).
 */
import type { TXID } from '@litestream/ltx';

const NAME = /^([0-9a-f]{16})-([0-9a-f]{16})\.ltx$/;
const RFC3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** `<minTXID>-<maxTXID>.ltx`, each 16 lower-case hex digits: names sort as their TXIDs do. */
export function ltxObjectName(file: { readonly minTxid: TXID; readonly maxTxid: TXID }): string {
  return `${txidText(file.minTxid)}-${txidText(file.maxTxid)}.ltx`;
}

/** The TXIDs of a name, or of the last part of a key. `undefined` for anything that is not an LTX file's name. */
export function parseLtxObjectName(key: string): { minTxid: TXID; maxTxid: TXID } | undefined {
  const match = NAME.exec(key.slice(key.lastIndexOf('/') + 1));
  if (match === null) return undefined;
  return { minTxid: BigInt(`0x${match[1]}`), maxTxid: BigInt(`0x${match[2]}`) };
}

/** 16 lower-case hex digits. A name cut there is where a listing with a `seek` starts. */
export function txidText(txid: TXID): string {
  return txid.toString(16).padStart(16, '0');
}

/** RFC 3339 in UTC without trailing zeros in the fraction: `…:58.65Z`, `…:58Z`. Metadata uses this form. */
export function formatObjectTime(time: Date): string {
  return time.toISOString().replace(/\.?0+Z$/, 'Z');
}

/**
 * Reads RFC 3339, nanoseconds cut to milliseconds. `undefined` for anything else, since metadata may come from any program,
 * and for times that do not exist, such as 30 February or 24:00, which `Date` turns into other times.
 */
export function parseObjectTime(text: string | undefined): Date | undefined {
  const dateAndTime = RFC3339.exec(text ?? '')?.[1];
  if (text === undefined || dateAndTime === undefined) return undefined;
  const [time, sameInUtc] = [new Date(text), new Date(`${dateAndTime}Z`)];
  if (Number.isNaN(time.getTime()) || Number.isNaN(sameInUtc.getTime())) return undefined;
  return sameInUtc.toISOString().startsWith(dateAndTime) ? time : undefined;
}

/** Order of keys in a listing: by their UTF-8 bytes, as in object stores. */
export function compareKeys(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}
