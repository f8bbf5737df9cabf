import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import { resolveCapabilities } from '../storage/contract/capabilities.ts';
import type { ReplicaClient } from '../storage/contract/contract.ts';
import type { Clock } from '../util/clock.ts';
import { sleep } from '../util/clock.ts';
import { hasCode, isLitestreamError } from '../util/error.ts';
import type { LitestreamError } from '../util/error.ts';
import type { LogFields, Logger } from '../util/logger.ts';
import { instantOf } from '../replica/position/instant.ts';
import type { Instant } from '../replica/position/instant.ts';
import type { AcquireOptions, Inherited } from './holder-options.ts';
import type { Leaser } from './leaser.ts';
import { LeaseObserver } from './observer.ts';
import type { Lease } from './record.ts';
import type { LeaseTerm } from './term.ts';

export interface AcquisitionParts {
  readonly client: ReplicaClient;
  readonly leaser: Leaser;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly term: LeaseTerm;
  /** Why this process must not have the lease any more. Asked before each attempt. */
  readonly refusal: () => LitestreamError | undefined;
  /** The error of a wait that took too long. */
  readonly waitError: () => LitestreamError;
  /** Called if another process holds the lease. */
  readonly onRefused: (holder: Lease | undefined) => void;
  /** Called before this process writes a lease that is not its own yet. */
  readonly onTaking: (inherited: Inherited) => void;
  /** Called once this process holds the lease, with a request that was sent at `sentAt` or later. */
  readonly onAcquired: (lease: Lease, sentAt: Instant) => void;
}

/** Time between two reads of the lease of another process. */
const POLL_MS_MIN = 200;
const POLL_MS_MAX = 450;
const LOG_INTERVAL_MS = 30_000;
/** The first request may load an SDK and authenticate. */
const ACQUIRE_MS_MIN = 10_000;

/** Attempts to acquire the lease of one replica until that succeeds. */
export class LeaseAcquisition {
  readonly #parts: AcquisitionParts;
  readonly #observer: LeaseObserver;
  readonly #mustProbe: boolean;
  #isProbed = false;

  constructor(parts: AcquisitionParts) {
    this.#parts = parts;
    this.#observer = new LeaseObserver(parts.clock, parts.leaser.ttlMs);
    this.#mustProbe = resolveCapabilities(parts.client.capabilities).conditionalCreate === 'probe';
  }

  /** Resolves and rejects as `LeaseHolder.acquire` does. */
  async run({ signal, waitMs = Infinity }: AcquireOptions): Promise<void> {
    const { clock, logger, refusal, term, waitError } = this.#parts;
    const untilMs = clock.monotonic() + waitMs;
    let loggedAtMs = Number.NEGATIVE_INFINITY;
    for (;;) {
      signal?.throwIfAborted();
      const refused = refusal();
      if (refused !== undefined) throw refused;
      let problem: LitestreamError | undefined;
      try {
        if (await term.within(signal, (bounded) => this.#attempt(bounded), ACQUIRE_MS_MIN)) return;
      } catch (error) {
        signal?.throwIfAborted();
        if (!isLitestreamError(error) || !(error.retryable || error.code === 'LEASE_HELD')) throw error;
        problem = error;
        if (clock.monotonic() - loggedAtMs >= LOG_INTERVAL_MS) {
          loggedAtMs = clock.monotonic();
          logger.warn('cannot ask for the lease, trying again', { error });
        }
      }
      if (clock.monotonic() >= untilMs) throw problem ?? waitError();
      await sleep(clock, POLL_MS_MIN + Math.random() * (POLL_MS_MAX - POLL_MS_MIN), signal);
    }
  }

  /** True if this process acquired the lease. */
  async #attempt(signal: AbortSignal): Promise<boolean> {
    const { leaser, clock, logger, onAcquired, onRefused, onTaking } = this.#parts;
    const seen = await leaser.read({ signal });
    const isOwn = seen !== undefined && leaser.owns(seen) && seen.releasedAt === undefined;
    const verdict = isOwn ? 'free' : this.#observer.judge(seen);
    if (verdict === 'held') {
      onRefused(seen);
      return false;
    }
    const isUnclean = verdict === 'expired';
    if (isUnclean && seen !== undefined) {
      logger.warn('taking over an expired lease', { ...factsOf(seen), owner: seen.owner });
    }
    // Before the request: its answer may be lost, and then the next attempt finds a lease of its own.
    if (!isOwn) onTaking({ acknowledgedTxid: seen?.acknowledgedTxid, isUnclean });
    const sentAt = instantOf(clock);
    const lease = await this.#takeOrRenew(seen, { isOwn, signal });
    if (lease === undefined) return false;
    if (this.#mustProbe && !this.#isProbed) await leaser.probe(lease, { signal });
    this.#isProbed = true;
    onAcquired(lease, sentAt);
    return true;
  }

  /** Undefined if another process was faster. */
  async #takeOrRenew(
    seen: Lease | undefined,
    { isOwn, signal }: { readonly isOwn: boolean; readonly signal: AbortSignal },
  ): Promise<Lease | undefined> {
    const { leaser } = this.#parts;
    try {
      if (isOwn && seen !== undefined) return await leaser.renew(seen, { signal });
      return await leaser.take(seen, { signal });
    } catch (error) {
      if (hasCode(error, 'LEASE_HELD')) return undefined;
      throw error;
    }
  }
}

/** Of a lease, for log lines. */
export function factsOf({ generation, acquiredAt, expiresAt }: Lease, acknowledgedTxid?: TXID): LogFields {
  return {
    generation,
    ...(acquiredAt === undefined ? {} : { since: acquiredAt }),
    expires: expiresAt,
    ...(acknowledgedTxid === undefined ? {} : { txid: formatTxid(acknowledgedTxid) }),
  };
}
