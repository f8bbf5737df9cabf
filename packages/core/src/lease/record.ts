/** The content of `lock.json`: the fields of Litestream (Go), and some more, which its parser ignores. */
import { formatTxid, parseTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';

/** Key of the lease, relative to the replica's path. */
export const LEASE_KEY = 'lock.json';
export const LEASE_TTL_MS = 30_000;

export interface LeaseRecord {
  /** 1 for the first holder; one more for each that follows. Renewing keeps it. */
  readonly generation: number;
  /** By the holder's wall clock. Of a released lease: long ago, by any clock. */
  readonly expiresAt: Date;
  /** `<host>:<pid>` by default. */
  readonly owner: string;
  /** Distinguishes holders with the same name. A record of Litestream (Go) has neither this field nor those below. */
  readonly session?: string | undefined;
  readonly acquiredAt?: Date | undefined;
  /** How long the lease is valid after each renewal. */
  readonly ttlMs?: number | undefined;
  /** A holder acknowledged everything up to this TXID, so the replica has it. */
  readonly acknowledgedTxid?: TXID | undefined;
  /** When it was released: the next process need not wait. */
  readonly releasedAt?: Date | undefined;
  /** When an operator broke it. Its former holder may still write for up to `ttlMs`. */
  readonly brokenAt?: Date | undefined;
}

/** A lease as it is stored on the replica. */
export interface Lease extends LeaseRecord {
  /** Version of the object, for conditions. */
  readonly version: string;
}

/** In characters. Every process that can write to the replica can choose any name, and logs repeat it. */
const OWNER_LENGTH_MAX = 300;

/** Expiry of a released lease, so that Litestream (Go) takes it at once, with any clock. */
export const RELEASED_EXPIRY: Date = new Date(0);

export function encodeLease(record: LeaseRecord): Uint8Array {
  const { generation, expiresAt, owner, session, acquiredAt, ttlMs, acknowledgedTxid } = record;
  const text = JSON.stringify({
    generation,
    expires_at: expiresAt.toISOString(),
    owner,
    session,
    acquired_at: acquiredAt?.toISOString(),
    ttl_ms: ttlMs,
    acknowledged_txid: acknowledgedTxid === undefined ? undefined : formatTxid(acknowledgedTxid),
    released_at: record.releasedAt?.toISOString(),
    broken_at: record.brokenAt?.toISOString(),
  });
  return Buffer.from(text);
}

/** Undefined if the text is not a lease. Invalid fields that Litestream (Go) does not have are ignored. */
export function decodeLease(text: string, version: string): Lease | undefined {
  const fields = parseObject(text);
  const generation = fields?.['generation'];
  const expiresAt = dateOf(fields?.['expires_at']);
  if (fields === undefined || !isGeneration(generation)) return undefined;
  if (expiresAt === undefined) return undefined;
  const { owner, session, ttl_ms: ttlMs } = fields;
  return {
    generation,
    expiresAt,
    owner: typeof owner === 'string' ? owner.slice(0, OWNER_LENGTH_MAX).replaceAll(/\p{C}/gu, '?') : '',
    session: typeof session === 'string' ? session : undefined,
    acquiredAt: dateOf(fields['acquired_at']),
    ttlMs: typeof ttlMs === 'number' && Number.isFinite(ttlMs) && ttlMs > 0 ? ttlMs : undefined,
    acknowledgedTxid: txidOf(fields['acknowledged_txid']),
    releasedAt: dateOf(fields['released_at']),
    brokenAt: dateOf(fields['broken_at']),
    version,
  };
}

/** The next generation must be a safe integer, too. */
function isGeneration(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < Number.MAX_SAFE_INTEGER;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function dateOf(value: unknown): Date | undefined {
  const date = new Date(typeof value === 'string' ? value : Number.NaN);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function txidOf(value: unknown): TXID | undefined {
  return typeof value === 'string' && /^[0-9a-f]{16}$/.test(value) ? parseTxid(value) : undefined;
}
