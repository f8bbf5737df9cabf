/**
 * Holds the lease of one replica for the process that writes there: waits for the lease, renews it, stops writing before it
 * ends, and releases it.
 */
import type { TXID } from '@litestream/ltx';
import type { Op, ReplicaClient } from '../storage/contract/contract.ts';
import { guardClient, unretried } from '../storage/guard/guard-client.ts';
import { systemClock } from '../util/clock.ts';
import type { Clock } from '../util/clock.ts';
import { hasCode } from '../util/error.ts';
import type { LitestreamError } from '../util/error.ts';
import { silentLogger } from '../util/logger.ts';
import type { Logger } from '../util/logger.ts';
import { instantOf } from '../replica/position/instant.ts';
import type { Instant } from '../replica/position/instant.ts';
import { factsOf, LeaseAcquisition } from './acquisition.ts';
import { heldError, lapsedError, lostError } from './errors.ts';
import type { ReplicaFence } from '../replica/position/fence.ts';
import type { WriteLimit } from './fenced-client.ts';
import type { AcquireOptions, Inherited, LeaseHolderOptions } from './holder-options.ts';
import { Leaser } from './leaser.ts';
import { LEASE_TTL_MS } from './record.ts';
import type { Lease } from './record.ts';
import { releaseSoon } from './release.ts';
import { RenewalLoop } from './renewal-loop.ts';
import { nextLeaseState } from './state.ts';
import type { LeaseEvent, LeaseState } from './state.ts';
import { leaseStatus } from './status.ts';
import type { LeaseStatus } from './status.ts';
import { Tenure } from './tenure.ts';
import { LeaseTerm } from './term.ts';

export class LeaseHolder implements ReplicaFence, WriteLimit {
  /** The last transaction that is on the replica, and was or may be acknowledged. */
  acknowledged: () => TXID = () => 0n;
  readonly #type: string;
  readonly #leaser: Leaser;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onChange: (status: LeaseStatus) => void;
  readonly #term: LeaseTerm;
  readonly #acquisition: LeaseAcquisition;
  readonly #loop: RenewalLoop;
  #state: LeaseState = { kind: 'idle' };
  #tenure = new Tenure({ acknowledgedTxid: undefined, isUnclean: false });
  #limit = new AbortController();
  #releasing: Promise<void> | undefined;
  /** Why the last renewals failed; undefined once one succeeded. */
  #failure: unknown;
  /** Why this process released the lease; undefined once it requests the lease again. */
  #refusal: LitestreamError | undefined;

  constructor(client: ReplicaClient, options: LeaseHolderOptions = {}) {
    const { ttlMs = LEASE_TTL_MS, owner, clock = systemClock } = options;
    this.#term = new LeaseTerm(clock, ttlMs);
    this.#type = client.type;
    this.#clock = clock;
    // This class makes the retries: each attempt has its own time limit.
    const once = unretried(guardClient(client));
    this.#leaser = new Leaser(once, { owner, ttlMs, now: () => clock.now() });
    this.#logger = (options.logger ?? silentLogger).child({ replica: client.type });
    this.#onChange = options.onChange ?? (() => undefined);
    this.#acquisition = new LeaseAcquisition({
      client,
      leaser: this.#leaser,
      clock,
      logger: this.#logger,
      term: this.#term,
      refusal: () => this.error,
      waitError: () => this.#waitError(),
      onRefused: (holder) => this.#refused(holder),
      onTaking: (inherited) => (this.#tenure = new Tenure(inherited)),
      onAcquired: (lease, sentAt) => this.#acquired(lease, sentAt),
    });
    this.#loop = new RenewalLoop({ clock, renew: (signal) => this.#renew(signal), onEnd: () => this.#ended() });
  }

  get status(): LeaseStatus {
    return leaseStatus(this.#state, this.#leaser.owner);
  }

  /** The content of the lease when it was acquired. */
  get inherited(): Inherited {
    return this.#tenure.inherited;
  }

  get error(): LitestreamError | undefined {
    return this.#state.kind === 'lost' ? this.#state.error : this.#refusal;
  }

  get signal(): AbortSignal {
    return this.#limit.signal;
  }

  get overdue(): LitestreamError | undefined {
    if (this.#state.kind === 'held' && this.#term.isUsable(this.#state.sentAt)) return undefined;
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
  async acquire({ signal, waitMs }: AcquireOptions = {}): Promise<void> {
    this.requireSupport();
    await this.#releasing;
    if (this.#state.kind === 'held' || this.#state.kind === 'lapsed') return await this.requireHeld({ signal });
    this.#refusal = undefined;
    await this.#acquisition.run({ signal, waitMs });
  }

  async requireHeld({ signal }: Op = {}): Promise<void> {
    if (this.#isCertain) return;
    await this.#loop.renew(signal);
    if (!this.#isCertain) throw this.error ?? this.#lapsedError();
  }

  async verify({ signal }: Op = {}): Promise<void> {
    // A renewal that is already in progress was sent earlier, and shows nothing.
    if (this.#loop.current !== undefined) await this.#loop.renew(signal);
    const before = this.#state;
    await this.#loop.renew(signal);
    if (this.#state === before || !this.#isCertain) throw this.error ?? this.#lapsedError();
  }

  async acknowledge(txid: TXID, { signal }: Op = {}): Promise<void> {
    const hasRecord = (): boolean => this.#state.kind === 'held' && this.#state.lease.acknowledgedTxid !== undefined;
    if (hasRecord() || txid === 0n) return;
    this.#tenure.acknowledging = txid;
    await this.verify({ signal });
    if (!hasRecord()) throw this.error ?? this.#lapsedError();
  }

  created(): void {
    this.#tenure.hasCreated = true;
  }

  get mayMeetLateFile(): boolean {
    return !this.#tenure.hasCreated;
  }

  lose(cause: LitestreamError): LitestreamError {
    if (this.#state.kind === 'held' || this.#state.kind === 'lapsed') this.#lose(cause);
    return this.error ?? this.#lapsedError();
  }

  requirePromotable(end: TXID): void {
    const error = this.#tenure.promotionError(end);
    if (error !== undefined) throw this.giveUp(error);
  }

  promoted(): void {
    this.#tenure.isPromoted = true;
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
    await this.#loop.current;
    // A renewal that was in progress may have written a newer version, or found another holder.
    const current: LeaseState = this.#state;
    if (current.kind !== 'held' && current.kind !== 'lapsed') return;
    const acknowledgedTxid = this.#tenure.acknowledgedTxid(current.lease, this.acknowledged());
    try {
      const tools = { leaser: this.#leaser, clock: this.#clock };
      await this.#term.within(undefined, (signal) => releaseSoon(tools, current.lease, { acknowledgedTxid, signal }));
      this.#dispatch({ kind: 'released' });
      this.#logger.info('lease released', factsOf(current.lease, acknowledgedTxid));
    } catch (error) {
      this.#dispatch(hasCode(error, 'LEASE_HELD') ? this.#taken(error) : { kind: 'released' });
      this.#logger.warn('cannot release the lease, the next process waits until it expires', { error });
    }
  }

  /** Stops renewing and allows no further writes; the lease expires by itself. */
  end(): void {
    this.#loop.end(this.#lapsedError());
    this.#limit.abort(this.#lapsedError());
  }

  #acquired(lease: Lease, sentAt: Instant): void {
    this.#failure = undefined;
    this.#loop.begin();
    this.#written(lease, sentAt);
    this.#logger.info('lease acquired', { ...factsOf(lease), owner: lease.owner, ttl: this.#term.ttlMs });
  }

  #refused(holder: Lease | undefined): void {
    const before = this.#state;
    const isNews = before.kind !== 'waiting' || before.holder?.session !== holder?.session;
    this.#dispatch({ kind: 'refused', holder }, isNews);
    if (!isNews || holder === undefined) return;
    this.#logger.info('waiting for the lease', { ...factsOf(holder), owner: holder.owner });
  }

  get #isCertain(): boolean {
    return this.#state.kind === 'held' && this.#term.isCertain(this.#state.sentAt);
  }

  async #renew(lifetime: AbortSignal): Promise<void> {
    const state = this.#state;
    if (state.kind !== 'held' && state.kind !== 'lapsed') return;
    const sentAt = instantOf(this.#clock);
    try {
      const acknowledgedTxid = this.#tenure.acknowledgedTxid(state.lease, this.acknowledged());
      const lease = await this.#term.within(lifetime, (signal) =>
        this.#leaser.renew(state.lease, { signal, acknowledgedTxid }),
      );
      if (this.#failure !== undefined) this.#logger.info('lease renewed again', factsOf(lease));
      this.#failure = undefined;
      this.#written(lease, sentAt);
    } catch (error) {
      if (hasCode(error, 'LEASE_HELD')) return this.#lose(error);
      if (lifetime.aborted) return;
      const { monotonic } = this.#term.elapsedMs(state.kind === 'held' ? state.sentAt : sentAt);
      if (this.#failure === undefined) {
        const left = Math.max(0, Math.round(this.#term.usableMs - monotonic));
        this.#logger.warn('cannot renew the lease, trying again', { error, remaining: left });
      }
      this.#failure = error;
      this.#loop.renewIn(this.#term.retryAfterMs);
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
    if (!this.#loop.isRunning) return; // released meanwhile
    if (this.#limit.signal.aborted) this.#limit = new AbortController();
    const { monotonic } = this.#term.elapsedMs(sentAt);
    this.#loop.renewed({
      renewMs: Math.max(0, this.#term.renewAfterMs - monotonic),
      endMs: Math.max(0, this.#term.usableMs - monotonic),
    });
  }

  #ended(): void {
    if (this.#state.kind !== 'held') return;
    this.#dispatch({ kind: 'ended' });
    this.#limit.abort(this.#lapsedError());
    this.#logger.error('lease not renewed in time, no writes to the replica until it is renewed', {
      error: this.#failure,
    });
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
