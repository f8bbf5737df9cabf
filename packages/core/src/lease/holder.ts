/**
 * Holds the lease of one replica for the process that writes there: waits for the lease, renews it, stops writing before it
 * ends, and releases it.
 */
import type { TXID } from '@litestream/ltx';
import { formatTxid } from '@litestream/ltx';
import { resolveCapabilities } from '../storage/contract/capabilities.ts';
import type { Op, ReplicaClient } from '../storage/contract/contract.ts';
import { guardClient, unretried } from '../storage/guard/guard-client.ts';
import { sleep, systemClock } from '../util/clock.ts';
import type { Clock } from '../util/clock.ts';
import { hasCode, isLitestreamError, LitestreamError } from '../util/error.ts';
import { silentLogger } from '../util/logger.ts';
import type { LogFields, Logger } from '../util/logger.ts';
import { instantOf } from '../replica/position/instant.ts';
import type { Instant } from '../replica/position/instant.ts';
import { BREAK_HINT, heldError, lapsedError, lostError, refusedError } from './errors.ts';
import type { ReplicaFence } from '../replica/position/fence.ts';
import type { WriteLimit } from './fenced-client.ts';
import { Leaser } from './leaser.ts';
import type { LeaseWriteOptions } from './leaser.ts';
import { LeaseObserver } from './observer.ts';
import { LEASE_TTL_MS } from './record.ts';
import type { Lease } from './record.ts';
import { nextLeaseState } from './state.ts';
import type { LeaseEvent, LeaseState } from './state.ts';
import { leaseStatus } from './status.ts';
import type { LeaseStatus } from './status.ts';

export interface LeaseOptions {
  /** How long the lease is valid after each renewal, 1 s at least. Default 30 s. */
  readonly ttlMs?: number | undefined;
  /** The name of this process in the lease. Default `<host>:<pid>`. */
  readonly owner?: string | undefined;
}

export interface LeaseHolderOptions extends LeaseOptions {
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
  /** Called when the state changes; a renewal is not a change. Must not throw. */
  readonly onChange?: ((status: LeaseStatus) => void) | undefined;
}

export interface AcquireOptions extends Op {
  /** Rejects with `LEASE_HELD` after this time. Default: no limit. */
  readonly waitMs?: number | undefined;
}

/** The content of the lease when this process acquired it. */
export interface Inherited {
  /** Undefined if no earlier holder acknowledged anything, as far as is known. */
  readonly acknowledgedTxid: TXID | undefined;
  /** The earlier holder did not release the lease: one of its requests may still arrive. */
  readonly isUnclean: boolean;
}

const TTL_MS_MIN = 1000;
/**
 * Part of the term, at its end, in which nothing is written. It gives time to abort requests, and allows for clocks with
 * different speeds.
 */
const MARGIN = 1 / 5;
const RENEW_AFTER = 1 / 3;
const RETRY_AFTER = 1 / 10;
/** Time between two reads of the lease of another process. */
const POLL_MS_MIN = 200;
const POLL_MS_MAX = 450;
const LOG_INTERVAL_MS = 30_000;
/** The first request may load an SDK and authenticate. */
const ACQUIRE_MS_MIN = 10_000;

export class LeaseHolder implements ReplicaFence, WriteLimit {
  /** The last transaction that is on the replica, and was or may be acknowledged. */
  acknowledged: () => TXID = () => 0n;
  readonly #type: string;
  readonly #leaser: Leaser;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onChange: (status: LeaseStatus) => void;
  readonly #mustProbe: boolean;
  #isProbed = false;
  #state: LeaseState = { kind: 'idle' };
  #limit = new AbortController();
  #lifetime: AbortController | undefined;
  #cancelRenewal: (() => void) | undefined;
  #cancelEnd: (() => void) | undefined;
  #renewal: Promise<void> | undefined;
  #releasing: Promise<void> | undefined;
  /** Why the last renewals failed; undefined once one succeeded. */
  #failure: unknown;
  #inherited: Inherited = { acknowledgedTxid: undefined, isUnclean: false };
  #isPromoted = false;
  #hasCreated = false;
  /** The transaction that is on the replica, and about to be acknowledged. 0: none yet. */
  #acknowledging: TXID = 0n;
  /** Why this process released the lease; undefined once it requests the lease again. */
  #refusal: LitestreamError | undefined;
  readonly #observer: LeaseObserver;

  constructor(client: ReplicaClient, options: LeaseHolderOptions = {}) {
    const { ttlMs = LEASE_TTL_MS, owner } = options;
    if (!(ttlMs >= TTL_MS_MIN && ttlMs < 2 ** 31)) {
      const message = `the term of a lease must be at least ${TTL_MS_MIN} ms: ${ttlMs}`;
      throw new LitestreamError(message, { code: 'INVALID_ARGUMENT', operation: 'acquire' });
    }
    this.#type = client.type;
    this.#clock = options.clock ?? systemClock;
    // This class makes the retries: each attempt has its own time limit.
    const once = unretried(guardClient(client));
    this.#leaser = new Leaser(once, { owner, ttlMs, now: () => this.#clock.now() });
    this.#observer = new LeaseObserver(this.#clock, ttlMs);
    this.#logger = (options.logger ?? silentLogger).child({ replica: client.type });
    this.#onChange = options.onChange ?? (() => undefined);
    this.#mustProbe = resolveCapabilities(client.capabilities).conditionalCreate === 'probe';
  }

  get status(): LeaseStatus {
    return leaseStatus(this.#state, this.#leaser.owner);
  }

  /** The content of the lease when it was acquired. */
  get inherited(): Inherited {
    return this.#inherited;
  }

  get error(): LitestreamError | undefined {
    return this.#state.kind === 'lost' ? this.#state.error : this.#refusal;
  }

  get signal(): AbortSignal {
    return this.#limit.signal;
  }

  get overdue(): LitestreamError | undefined {
    if (this.#state.kind === 'held' && this.#elapsedMs(this.#state.sentAt).monotonic < this.#usableMs) return undefined;
    return this.error ?? this.#lapsedError();
  }

  /** Throws `UNSUPPORTED` where the backend has no conditions. */
  requireSupport(): void {
    this.#leaser.requireSupport('acquire');
  }

  /**
   * Resolves once this process holds the lease. Waits for its holder, and tries again after network failures. Rejects with
   * errors that waiting does not repair (`UNSUPPORTED`, `UNAUTHORIZED`, `BUCKET_MISSING`, …), and with the signal's reason.
   */
  async acquire({ signal, waitMs = Infinity }: AcquireOptions = {}): Promise<void> {
    this.requireSupport();
    await this.#releasing;
    if (this.#state.kind === 'held' || this.#state.kind === 'lapsed') return await this.requireHeld({ signal });
    this.#refusal = undefined;
    const untilMs = this.#clock.monotonic() + waitMs;
    let loggedAtMs = Number.NEGATIVE_INFINITY;
    for (;;) {
      signal?.throwIfAborted();
      if (this.error !== undefined) throw this.error;
      let problem: LitestreamError | undefined;
      try {
        if (await this.#within(signal, (bounded) => this.#tryAcquire(bounded), ACQUIRE_MS_MIN)) return;
      } catch (error) {
        signal?.throwIfAborted();
        if (!isLitestreamError(error) || !(error.retryable || error.code === 'LEASE_HELD')) throw error;
        problem = error;
        if (this.#clock.monotonic() - loggedAtMs >= LOG_INTERVAL_MS) {
          loggedAtMs = this.#clock.monotonic();
          this.#logger.warn('cannot ask for the lease, trying again', { error });
        }
      }
      if (this.#clock.monotonic() >= untilMs) throw problem ?? this.#waitError();
      await sleep(this.#clock, POLL_MS_MIN + Math.random() * (POLL_MS_MAX - POLL_MS_MIN), signal);
    }
  }

  async requireHeld({ signal }: Op = {}): Promise<void> {
    if (this.#isCertain) return;
    await this.#renewNow(signal);
    if (!this.#isCertain) throw this.error ?? this.#lapsedError();
  }

  async verify({ signal }: Op = {}): Promise<void> {
    // A renewal that is already in progress was sent earlier, and shows nothing.
    if (this.#renewal !== undefined) await this.#renewNow(signal);
    const before = this.#state;
    await this.#renewNow(signal);
    if (this.#state === before || !this.#isCertain) throw this.error ?? this.#lapsedError();
  }

  async acknowledge(txid: TXID, { signal }: Op = {}): Promise<void> {
    const hasRecord = (): boolean => this.#state.kind === 'held' && this.#state.lease.acknowledgedTxid !== undefined;
    if (hasRecord() || txid === 0n) return;
    this.#acknowledging = txid;
    await this.verify({ signal });
    if (!hasRecord()) throw this.error ?? this.#lapsedError();
  }

  created(): void {
    this.#hasCreated = true;
  }

  get mayMeetLateFile(): boolean {
    return !this.#hasCreated;
  }

  lose(cause: LitestreamError): LitestreamError {
    if (this.#state.kind === 'held' || this.#state.kind === 'lapsed') this.#lose(cause);
    return this.error ?? this.#lapsedError();
  }

  requirePromotable(end: TXID): void {
    if (this.#isPromoted || this.#inherited.acknowledgedTxid === undefined) return;
    const message = `the database differs from the replica, which ends at TXID ${formatTxid(end)}, and an earlier holder of the lease acknowledged TXID ${formatTxid(this.#inherited.acknowledgedTxid)}`;
    const hint = `Move the database away, and start with restore-if-db-not-exists: it is restored once the lease is held. ${BREAK_HINT}`;
    throw this.giveUp(refusedError(message, undefined, hint));
  }

  promoted(): void {
    this.#isPromoted = true;
  }

  /** Releases the lease, because another process may have what this one lacks. Returns the error. */
  giveUp(error: LitestreamError): LitestreamError {
    this.#refusal = error;
    void this.release();
    return error;
  }

  /**
   * Releases the lease, and records the last acknowledged TXID. A failure is logged: then the next process waits until the
   * lease expires.
   */
  async release(): Promise<void> {
    this.#releasing ??= this.#release().finally(() => (this.#releasing = undefined));
    await this.#releasing;
  }

  async #release(): Promise<void> {
    const state = this.#state;
    this.end();
    if (state.kind !== 'held' && state.kind !== 'lapsed') return;
    await this.#renewal;
    // A renewal that was in progress may have written a newer version, or found another holder.
    const current: LeaseState = this.#state;
    if (current.kind !== 'held' && current.kind !== 'lapsed') return;
    const acknowledgedTxid = this.#acknowledgedTxid(current.lease);
    try {
      await this.#within(undefined, (signal) => this.#releaseSoon(current.lease, { acknowledgedTxid, signal }));
      this.#dispatch({ kind: 'released' });
      this.#logger.info('lease released', { ...factsOf(current.lease), ...acknowledgedFacts(acknowledgedTxid) });
    } catch (error) {
      this.#dispatch(hasCode(error, 'LEASE_HELD') ? this.#taken(error) : { kind: 'released' });
      this.#logger.warn('cannot release the lease, the next process waits until it expires', { error });
    }
  }

  /** Tries again after transient failures: otherwise the next process would wait for a whole term. */
  async #releaseSoon(lease: Lease, options: LeaseWriteOptions): Promise<void> {
    for (;;) {
      try {
        return await this.#leaser.release(lease, options);
      } catch (error) {
        if (!isLitestreamError(error) || !error.retryable || options.signal?.aborted === true) throw error;
        await sleep(this.#clock, POLL_MS_MIN, options.signal);
      }
    }
  }

  /** Stops renewing and allows no further writes; the lease expires by itself. */
  end(): void {
    this.#cancelRenewal?.();
    this.#cancelEnd?.();
    this.#lifetime?.abort(this.#lapsedError());
    this.#lifetime = undefined;
    this.#limit.abort(this.#lapsedError());
  }

  /** True if this process acquired the lease. */
  async #tryAcquire(signal: AbortSignal): Promise<boolean> {
    const seen = await this.#leaser.read({ signal });
    const isOwn = seen !== undefined && this.#leaser.owns(seen) && seen.releasedAt === undefined;
    const verdict = isOwn ? 'free' : this.#observer.judge(seen);
    if (verdict === 'held') {
      this.#refused(seen);
      return false;
    }
    if (verdict === 'expired' && seen !== undefined) {
      this.#logger.warn('taking over an expired lease', { ...factsOf(seen), owner: seen.owner });
    }
    // Before the request: its answer may be lost, and then the next attempt finds a lease of its own.
    if (!isOwn) this.#inherit(seen, verdict === 'expired');
    const sentAt = instantOf(this.#clock);
    const lease = await this.#takeOrRenew(seen, { isOwn, signal });
    if (lease === undefined) return false;
    if (this.#mustProbe && !this.#isProbed) await this.#leaser.probe(lease, { signal });
    this.#isProbed = true;
    this.#failure = undefined;
    this.#lifetime = new AbortController();
    this.#written(lease, sentAt);
    this.#logger.info('lease acquired', { ...factsOf(lease), owner: lease.owner, ttl: this.#leaser.ttlMs });
    return true;
  }

  /** Undefined if another process was faster. */
  async #takeOrRenew(
    seen: Lease | undefined,
    { isOwn, signal }: { readonly isOwn: boolean; readonly signal: AbortSignal },
  ): Promise<Lease | undefined> {
    try {
      if (isOwn && seen !== undefined) return await this.#leaser.renew(seen, { signal });
      return await this.#leaser.take(seen, { signal });
    } catch (error) {
      if (hasCode(error, 'LEASE_HELD')) return undefined;
      throw error;
    }
  }

  #inherit(seen: Lease | undefined, isUnclean: boolean): void {
    this.#inherited = { acknowledgedTxid: seen?.acknowledgedTxid, isUnclean };
    this.#isPromoted = false;
    this.#hasCreated = false;
    this.#acknowledging = 0n;
  }

  #refused(holder: Lease | undefined): void {
    const before = this.#state;
    const isNews = before.kind !== 'waiting' || before.holder?.session !== holder?.session;
    this.#dispatch({ kind: 'refused', holder }, isNews);
    if (!isNews || holder === undefined) return;
    this.#logger.info('waiting for the lease', { ...factsOf(holder), owner: holder.owner });
  }

  get #isCertain(): boolean {
    if (this.#state.kind !== 'held') return false;
    const { monotonic, now } = this.#elapsedMs(this.#state.sentAt);
    // The monotonic clock may have stopped, for example while the machine was suspended.
    return monotonic < this.#usableMs && now < this.#usableMs;
  }

  #elapsedMs(since: Instant): Instant {
    const { monotonic, now } = instantOf(this.#clock);
    return { monotonic: monotonic - since.monotonic, now: now - since.now };
  }

  /** How long this process may write after it sent a renewal. */
  get #usableMs(): number {
    return this.#leaser.ttlMs * (1 - MARGIN);
  }

  /** One renewal at a time; callers share it. Rejects only if the signal of the caller is aborted. */
  async #renewNow(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#lifetime === undefined) return;
    this.#renewal ??= this.#renew(this.#lifetime.signal).finally(() => (this.#renewal = undefined));
    if (signal === undefined) return await this.#renewal;
    const { promise, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      await Promise.race([this.#renewal, promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async #renew(lifetime: AbortSignal): Promise<void> {
    const state = this.#state;
    if (state.kind !== 'held' && state.kind !== 'lapsed') return;
    this.#cancelRenewal?.();
    const sentAt = instantOf(this.#clock);
    try {
      const acknowledgedTxid = this.#acknowledgedTxid(state.lease);
      const lease = await this.#within(lifetime, (signal) =>
        this.#leaser.renew(state.lease, { signal, acknowledgedTxid }),
      );
      if (this.#failure !== undefined) this.#logger.info('lease renewed again', factsOf(lease));
      this.#failure = undefined;
      this.#written(lease, sentAt);
    } catch (error) {
      if (hasCode(error, 'LEASE_HELD')) return this.#lose(error);
      if (lifetime.aborted) return;
      const { monotonic } = this.#elapsedMs(state.kind === 'held' ? state.sentAt : sentAt);
      if (this.#failure === undefined) {
        const left = Math.max(0, Math.round(this.#usableMs - monotonic));
        this.#logger.warn('cannot renew the lease, trying again', { error, remaining: left });
      }
      this.#failure = error;
      this.#renewAfter(this.#leaser.ttlMs * RETRY_AFTER);
    }
  }

  #lose(cause: LitestreamError): void {
    const event = this.#taken(cause);
    this.#dispatch(event);
    this.#limit.abort(event.error);
    this.end();
    this.#logger.error('lease lost, commits of this database are no longer replicated', {
      error: event.error,
      hint: event.error.hint,
    });
  }

  #taken(cause: LitestreamError): LeaseEvent & { readonly kind: 'taken' } {
    return { kind: 'taken', error: lostError(this.#type, cause) };
  }

  /** This process holds the lease from the time that it sent the request. */
  #written(lease: Lease, sentAt: Instant): void {
    const isNews = this.#state.kind !== 'held';
    this.#dispatch({ kind: 'written', lease, sentAt }, isNews);
    if (this.#lifetime === undefined) return; // released meanwhile
    if (this.#limit.signal.aborted) this.#limit = new AbortController();
    const { monotonic } = this.#elapsedMs(sentAt);
    this.#cancelEnd?.();
    this.#cancelEnd = this.#clock.schedule(Math.max(0, this.#usableMs - monotonic), () => this.#ended());
    this.#renewAfter(Math.max(0, this.#leaser.ttlMs * RENEW_AFTER - monotonic));
  }

  #renewAfter(delayMs: number): void {
    this.#cancelRenewal?.();
    this.#cancelRenewal = this.#clock.schedule(delayMs, () => void this.#renewNow(undefined));
  }

  #ended(): void {
    if (this.#state.kind !== 'held') return;
    this.#dispatch({ kind: 'ended' });
    this.#limit.abort(this.#lapsedError());
    this.#logger.error('lease not renewed in time, no writes to the replica until it is renewed', {
      error: this.#failure,
    });
  }

  /** Never decreases: a database that is reopened acknowledges nothing at first. */
  #acknowledgedTxid({ acknowledgedTxid: before }: Lease): TXID | undefined {
    const own = this.acknowledged() || this.#acknowledging;
    if (own === 0n || (before !== undefined && before > own)) return before;
    return own;
  }

  /** A request that takes longer than this would leave no time for another. */
  async #within<T>(
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
    limitMsMin = 0,
  ): Promise<T> {
    const limit = new AbortController();
    const cancel = this.#clock.schedule(Math.max(this.#leaser.ttlMs * RENEW_AFTER, limitMsMin), () => {
      limit.abort(new LitestreamError('no answer about the lease in time', { code: 'TIMEOUT', retryable: true }));
    });
    try {
      return await work(signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]));
    } finally {
      cancel();
    }
  }

  #waitError(): LitestreamError {
    const holder = this.#state.kind === 'waiting' ? this.#state.holder : undefined;
    return heldError(this.#type, 'acquire', holder);
  }

  #lapsedError(): LitestreamError {
    return lapsedError(this.#type, this.#failure);
  }

  #dispatch(event: LeaseEvent, isNews = true): void {
    this.#state = nextLeaseState(this.#state, event);
    if (isNews) this.#onChange(this.status);
  }
}

function factsOf({ generation, acquiredAt, expiresAt }: Lease): LogFields {
  return { generation, ...(acquiredAt === undefined ? {} : { since: acquiredAt }), expires: expiresAt };
}

function acknowledgedFacts(txid: TXID | undefined): LogFields {
  return txid === undefined ? {} : { txid: formatTxid(txid) };
}
