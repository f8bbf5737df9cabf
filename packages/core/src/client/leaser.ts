/**
 * A lease on a replica, so that one process at a time writes to it: an object `lock.json` beside the LTX files, changed
 * only under conditions that the store enforces. Layout and rules are upstream's, so both respect each other's leases.
 */
import { hostname } from 'node:os';

import { hasCode, LitestreamError } from '../error.ts';
import { resolveCapabilities } from './capabilities.ts';
import type { ObjectOperations, Op, ReplicaClient } from './contract.ts';
import { guardClient } from './guard-client.ts';

/** Key of the lease, relative to the replica's path. */
export const LEASE_KEY = 'lock.json';
export const LEASE_TTL_MS = 30_000;
/** Far more than a lease needs: what is larger is not ours. */
const LEASE_SIZE_MAX = 65_536;

export interface Lease {
  /** 1 for the first holder; one more each time an expired lease is taken over. Renewing keeps it. */
  readonly generation: number;
  readonly expiresAt: Date;
  /** `<host>:<pid>` by default. */
  readonly owner: string;
  /** Version of the object, as conditions take it. */
  readonly version: string;
}

export interface LeaserOptions {
  /** Default `<host>:<pid>`. */
  readonly owner?: string | undefined;
  /** Default 30 s. */
  readonly ttlMs?: number | undefined;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

export class Leaser {
  readonly #client: ReplicaClient;
  readonly #owner: string;
  readonly #ttlMs: number;
  readonly #now: () => number;

  constructor(client: ReplicaClient, options: LeaserOptions = {}) {
    // Whoever hands in a bare client gets codes all the same.
    this.#client = guardClient(client);
    this.#owner = options.owner ?? `${hostname()}:${process.pid}`;
    this.#ttlMs = options.ttlMs ?? LEASE_TTL_MS;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Takes the lease if nobody holds it, or its holder let it expire. Rejects with `LEASE_HELD`, naming the holder, and
   * with `UNSUPPORTED` where the backend has no conditions.
   */
  async acquire(op: Op = {}): Promise<Lease> {
    const held = await this.#read(op);
    if (held !== undefined && held.expiresAt.getTime() >= this.#now()) throw this.#heldError('acquire', held);
    return await this.#write('acquire', (held?.generation ?? 0) + 1, held?.version, op);
  }

  /** Extends a lease. Rejects with `LEASE_HELD` if another process has taken it over, or it was released. */
  async renew(lease: Lease, op: Op = {}): Promise<Lease> {
    return await this.#write('renew', lease.generation, lease.version, op);
  }

  /** Gives a lease back. One that is gone already is no error; one that another process holds is `LEASE_HELD`. */
  async release(lease: Lease, op: Op = {}): Promise<void> {
    try {
      await this.#objects('release').delete(LEASE_KEY, { ifMatch: lease.version, signal: op.signal });
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return;
      if (!hasCode(error, 'PRECONDITION_FAILED')) throw error;
      throw this.#heldError('release', await this.#read(op), error);
    }
  }

  async #write(operation: string, generation: number, version: string | undefined, op: Op): Promise<Lease> {
    const expiresAt = new Date(this.#now() + this.#ttlMs);
    const text = JSON.stringify({ generation, expires_at: expiresAt.toISOString(), owner: this.#owner });
    const condition = version === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: version };
    try {
      const put = await this.#objects(operation).put(LEASE_KEY, Buffer.from(text), { ...condition, signal: op.signal });
      return { generation, expiresAt, owner: this.#owner, version: put.version ?? '' };
    } catch (error) {
      op.signal?.throwIfAborted();
      const refused = hasCode(error, 'PRECONDITION_FAILED') || hasCode(error, 'NOT_FOUND');
      if (hasCode(error, 'UNSUPPORTED')) throw error;
      // A write whose answer was lost may have been made: what is there now decides.
      const now = await this.#read(op);
      const mine = now?.owner === this.#owner && now.generation === generation;
      if (now !== undefined && mine && now.expiresAt.getTime() === expiresAt.getTime()) return now;
      if (refused) throw this.#heldError(operation, now, error);
      throw error;
    }
  }

  async #read(op: Op): Promise<Lease | undefined> {
    try {
      const { info, body } = await this.#objects('acquire').open(LEASE_KEY, { signal: op.signal });
      const parts: Uint8Array[] = [];
      for await (const chunk of body) {
        // Only leaving an iteration frees the connection: a body that nobody iterates keeps it.
        if (info.size > LEASE_SIZE_MAX) throw this.#unreadable();
        parts.push(chunk.slice());
      }
      return this.#parse(Buffer.concat(parts).toString(), info.version ?? '');
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  #parse(text: string, version: string): Lease {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw this.#unreadable(error);
    }
    const { generation, expires_at: expires, owner } = (value ?? {}) as Record<string, unknown>;
    const expiresAt = new Date(typeof expires === 'string' ? expires : Number.NaN);
    if (typeof generation !== 'number' || !Number.isSafeInteger(generation) || Number.isNaN(expiresAt.getTime())) {
      throw this.#unreadable();
    }
    return { generation, expiresAt, owner: typeof owner === 'string' ? owner : '', version };
  }

  #objects(operation: string): ObjectOperations {
    const { objects } = this.#client;
    if (objects !== undefined && resolveCapabilities(this.#client.capabilities).conditions) return objects;
    throw new LitestreamError(`${this.#client.type}: this backend has no conditional writes, so no leases`, {
      code: 'UNSUPPORTED',
      operation,
      backend: this.#client.type,
      hint: 'Use a replica on s3, gcs, abs or file, or make sure that only one process writes to it.',
    });
  }

  #heldError(operation: string, held: Lease | undefined, cause?: unknown): LitestreamError {
    const by =
      held === undefined
        ? 'nobody any more'
        : `${held.owner || 'another process'} until ${held.expiresAt.toISOString()}`;
    return new LitestreamError(`${this.#client.type}: the lease is held by ${by}`, {
      code: 'LEASE_HELD',
      operation,
      backend: this.#client.type,
      object: LEASE_KEY,
      hint: 'Wait until it expires, or stop the process that holds it.',
      cause,
    });
  }

  #unreadable(cause?: unknown): LitestreamError {
    return new LitestreamError(`${this.#client.type}: ${LEASE_KEY} is not a lease`, {
      code: 'LEASE_HELD',
      operation: 'acquire',
      backend: this.#client.type,
      object: LEASE_KEY,
      hint: `Look at ${LEASE_KEY} in the replica, and delete it if no process uses it.`,
      cause,
    });
  }
}
