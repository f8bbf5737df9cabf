/**
 * A lease on a replica, so that one process at a time writes to it: an object `lock.json` beside the LTX files, changed
 * only under conditions that the store enforces. Layout and rules are those of Litestream (Go), so each respects the
 * leases of the other.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { TXID } from '@litestream/ltx';

import { resolveCapabilities } from '../storage/contract/capabilities.ts';
import type { ObjectOperations, Op, ReplicaClient } from '../storage/contract/contract.ts';
import { guardClient } from '../storage/guard/guard-client.ts';
import { hasCode } from '../util/error.ts';
import { heldError, unreadableError, unsupportedError } from './errors.ts';
import { decodeLease, encodeLease, LEASE_KEY, LEASE_TTL_MS, RELEASED_EXPIRY } from './record.ts';
import type { Lease, LeaseRecord } from './record.ts';

/** Far more than a lease needs: a larger object is not a lease. */
const LEASE_SIZE_MAX = 65_536;
/** How many own writes with lost answers a renewal accepts, one after the other, before it fails. */
const ADOPTIONS_MAX = 3;
/** The holder may renew the lease between the read and the write of one that breaks it, but not this often in a row. */
const BREAK_ATTEMPTS_MAX = 5;
/** No object has this version. */
const NO_VERSION = '"00000000000000000000000000000000"';

interface Found {
  readonly version: string;
  /** Undefined if the object is not a lease. */
  readonly lease: Lease | undefined;
}

export interface LeaserOptions {
  /** Default `<host>:<pid>`. */
  readonly owner?: string | undefined;
  /** Default 30 s. */
  readonly ttlMs?: number | undefined;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

export interface LeaseWriteOptions extends Op {
  /** Everything up to this TXID was acknowledged. Default: the value that the lease has. */
  readonly acknowledgedTxid?: TXID | undefined;
}

export class Leaser {
  readonly owner: string;
  readonly ttlMs: number;
  readonly #client: ReplicaClient;
  readonly #now: () => number;
  readonly #session = randomUUID();

  constructor(client: ReplicaClient, options: LeaserOptions = {}) {
    // A bare client is wrapped, so that its errors have codes.
    this.#client = guardClient(client);
    this.owner = options.owner ?? `${hostname()}:${process.pid}`;
    this.ttlMs = options.ttlMs ?? LEASE_TTL_MS;
    this.#now = options.now ?? Date.now;
  }

  /** Throws `UNSUPPORTED` where the backend has no conditions. */
  requireSupport(operation: string): void {
    this.#objects(operation);
  }

  /**
   * Takes the lease if no process holds it, or its holder let it expire by the wall clock. Rejects with `LEASE_HELD`, naming
   * the holder, and with `UNSUPPORTED` where the backend has no conditions.
   */
  async acquire(op: Op = {}): Promise<Lease> {
    const held = await this.read(op);
    const isHeld = held !== undefined && held.releasedAt === undefined;
    if (isHeld && held.expiresAt.getTime() >= this.#now()) {
      throw heldError(this.#client.type, 'acquire', held);
    }
    return await this.take(held, op);
  }

  /** Takes the lease that was read, or creates the first one. Rejects with `LEASE_HELD` if another process was faster. */
  async take(seen: Lease | undefined, { signal }: Op = {}): Promise<Lease> {
    const record = {
      ...this.#term(),
      generation: (seen?.generation ?? 0) + 1,
      acquiredAt: new Date(this.#now()),
      acknowledgedTxid: seen?.acknowledgedTxid,
    };
    return await this.#write('acquire', record, seen?.version, { signal });
  }

  /** Extends a lease. Rejects with `LEASE_HELD` if another process has taken it over, or it was released. */
  async renew(
    lease: Lease,
    { signal, acknowledgedTxid = lease.acknowledgedTxid }: LeaseWriteOptions = {},
  ): Promise<Lease> {
    const { generation, acquiredAt } = lease;
    const record = { ...this.#term(), generation, acquiredAt, acknowledgedTxid };
    return await this.#write('renew', record, lease.version, { signal });
  }

  /**
   * Releases a lease: it stays as the record of what was acknowledged, and the next process can take it at once. A lease that
   * does not exist is no error; if another process holds it, rejects with `LEASE_HELD`.
   */
  async release(
    lease: Lease,
    { signal, acknowledgedTxid = lease.acknowledgedTxid }: LeaseWriteOptions = {},
  ): Promise<void> {
    const { generation, acquiredAt } = lease;
    const times = { acquiredAt, expiresAt: RELEASED_EXPIRY, releasedAt: new Date(this.#now()) };
    try {
      const record = { ...this.#term(), ...times, generation, acknowledgedTxid };
      await this.#write('release', record, lease.version, { signal });
    } catch (error) {
      if (!hasCode(error, 'LEASE_HELD')) throw error;
      const now = await this.read({ signal });
      if (now !== undefined && !(this.#isOwn(now, generation) && now.releasedAt !== undefined)) throw error;
    }
  }

  /**
   * Takes the lease away from its holder, and deletes its record of acknowledged transactions. A holder that is alive finds out
   * when it next renews, so the next process waits for a whole term, unless the lease was released. Also replaces an object
   * that is not a lease. Resolves to the lease before; undefined if there was none.
   */
  async break(op: Op = {}): Promise<Lease | undefined> {
    let found = await this.#look(op);
    for (let attempt = 1; found !== undefined; attempt++) {
      try {
        return await this.#break(found, op);
      } catch (error) {
        if (!hasCode(error, 'LEASE_HELD') || attempt === BREAK_ATTEMPTS_MAX) throw error;
        const now = await this.#look(op);
        // Its holder may have renewed it meanwhile. A lease of another holder is not the one to break.
        if (now !== undefined && now.lease?.generation !== found.lease?.generation) throw error;
        found = now;
      }
    }
    return undefined;
  }

  async #break(found: Found, op: Op): Promise<Lease> {
    const { version, lease: seen = { generation: 0, owner: '', expiresAt: RELEASED_EXPIRY, version } } = found;
    const { generation, owner, brokenAt, releasedAt, ttlMs = LEASE_TTL_MS } = seen;
    if (brokenAt !== undefined) return seen;
    const nowMs = this.#now();
    const ended =
      releasedAt === undefined
        ? { expiresAt: new Date(nowMs + ttlMs), ttlMs, brokenAt: new Date(nowMs) }
        : { expiresAt: RELEASED_EXPIRY, releasedAt };
    await this.#write('break', { generation, owner, session: this.#session, ...ended }, version, op);
    return seen;
  }

  /**
   * Rejects with `UNSUPPORTED` if the server ignores conditions, as some that speak S3 do. Call it only while this process
   * holds the lease: a write that is not refused only writes the same bytes again.
   */
  async probe(lease: Lease, { signal }: Op = {}): Promise<void> {
    const objects = this.#objects('acquire');
    const bytes = encodeLease(lease);
    for (const condition of [{ ifNoneMatch: '*' }, { ifMatch: NO_VERSION }] as const) {
      try {
        await objects.put(LEASE_KEY, bytes, { ...condition, signal });
      } catch (error) {
        if (hasCode(error, 'PRECONDITION_FAILED')) continue;
        if (!hasCode(error, 'UNSUPPORTED') && !hasCode(error, 'INVALID_ARGUMENT')) throw error;
      }
      await objects.delete(LEASE_KEY, { signal });
      throw unsupportedError(this.#client.type, 'acquire', 'this server ignores the conditions of a write');
    }
  }

  /** Undefined if there is none. Rejects with `LEASE_HELD` if the object is not a lease. */
  async read(op: Op = {}): Promise<Lease | undefined> {
    const found = await this.#look(op);
    if (found !== undefined && found.lease === undefined) throw unreadableError(this.#client.type);
    return found?.lease;
  }

  /** The object, and the lease in it; undefined if there is no object. */
  async #look(op: Op): Promise<Found | undefined> {
    try {
      const { info, body } = await this.#objects('acquire').open(LEASE_KEY, { signal: op.signal });
      const parts: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of body) {
        // Only leaving an iteration frees the connection: a body that nothing iterates keeps it. The body may be longer than announced.
        size += chunk.length;
        if (Math.max(size, info.size) > LEASE_SIZE_MAX) break;
        parts.push(chunk.slice());
      }
      const { version = '' } = info;
      const text = size > LEASE_SIZE_MAX ? '' : Buffer.concat(parts).toString();
      return { version, lease: decodeLease(text, version) };
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  #term(): Pick<LeaseRecord, 'expiresAt' | 'owner' | 'session' | 'ttlMs'> {
    const { owner, ttlMs } = this;
    return { expiresAt: new Date(this.#now() + ttlMs), owner, session: this.#session, ttlMs };
  }

  /** Written by this instance. */
  owns(lease: Lease): boolean {
    return lease.session === this.#session;
  }

  #isOwn(lease: Lease, generation: number): boolean {
    return this.owns(lease) && lease.generation === generation;
  }

  async #write(operation: string, record: LeaseRecord, version: string | undefined, op: Op): Promise<Lease> {
    let expected = version;
    for (let adoptions = 0; ; adoptions++) {
      const condition = expected === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: expected };
      try {
        const objects = this.#objects(operation);
        const put = await objects.put(LEASE_KEY, encodeLease(record), { ...condition, signal: op.signal });
        return { ...record, version: put.version ?? '' };
      } catch (error) {
        op.signal?.throwIfAborted();
        if (hasCode(error, 'UNSUPPORTED')) throw error;
        // A write whose answer was lost may have succeeded: the object that is there now decides.
        const now = await this.read(op);
        const isOwn = now !== undefined && this.#isOwn(now, record.generation);
        if (isOwn && isSameTerm(now, record)) return now;
        if (!hasCode(error, 'PRECONDITION_FAILED') && !hasCode(error, 'NOT_FOUND')) throw error;
        // An earlier renewal of ours succeeded, and its answer was lost.
        const isAdoptable = isOwn && now.releasedAt === undefined && now.version !== expected;
        if (!isAdoptable || adoptions === ADOPTIONS_MAX) throw heldError(this.#client.type, operation, now, error);
        expected = now.version;
      }
    }
  }

  #objects(operation: string): ObjectOperations {
    const { objects } = this.#client;
    if (objects !== undefined && resolveCapabilities(this.#client.capabilities).conditions) return objects;
    throw unsupportedError(this.#client.type, operation);
  }
}

function isSameTerm(a: LeaseRecord, b: LeaseRecord): boolean {
  const isSameTime =
    a.expiresAt.getTime() === b.expiresAt.getTime() && a.releasedAt?.getTime() === b.releasedAt?.getTime();
  return isSameTime && a.acknowledgedTxid === b.acknowledgedTxid;
}
