/** The history of a database with several replicas: that of the one which reaches farthest. */
import { hasCode } from '@litestream/core';
import type { History, Op, Replica, TXID } from '@litestream/core';
import type { CircuitBreaker } from './open-patience.ts';

export interface TimelinePart {
  readonly history: Pick<Replica, 'maxTxid' | 'openLevel0' | 'lastTimestamp'>;
  /** What fails together with it, undefined if it stands alone. */
  readonly backend: string | undefined;
}

/**
 * Replicas that do not answer in time are left out: replication to the others does not wait for them. What they turn out
 * to hold is dealt with when they are met (`Replica`). Without a breaker, all have to answer.
 */
export class FarthestTimeline implements History {
  readonly #parts: readonly TimelinePart[];
  readonly #breaker: CircuitBreaker | undefined;
  #farthest: TimelinePart['history'] | undefined;

  constructor(parts: readonly TimelinePart[], breaker: CircuitBreaker | undefined) {
    this.#parts = parts;
    this.#breaker = breaker;
  }

  async maxTxid(options: Op = {}): Promise<TXID> {
    const asked = await Promise.allSettled(this.#parts.map((part) => this.#endOf(part, options)));
    this.#throwIfHopeless(asked, options);
    const tops = asked.map((each) => (each.status === 'fulfilled' ? (each.value ?? 0n) : 0n));
    const top = tops.reduce<TXID>((max, txid) => (txid > max ? txid : max), 0n);
    this.#farthest = top === 0n ? undefined : this.#parts[tops.indexOf(top)]?.history;
    return top;
  }

  /** Of the replica that reaches farthest: another one may hold other pages under the same number. */
  async openLevel0(txid: TXID, options: Op = {}): Promise<AsyncIterable<Uint8Array> | undefined> {
    return await this.#farthest?.openLevel0(txid, options);
  }

  async lastTimestamp(options: Op = {}): Promise<Date | undefined> {
    return await this.#farthest?.lastTimestamp(options);
  }

  /** One that fails is asked again when something is sent to it, which tells what is wrong with it. */
  #throwIfHopeless(asked: readonly PromiseSettledResult<unknown>[], { signal }: Op): void {
    signal?.throwIfAborted();
    const failures = asked.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    const hopeless: unknown[] = failures.filter((error) => hasCode(error, 'CONFIG_INVALID'));
    if (this.#breaker === undefined && failures.length > 0) throw failures[0];
    if (hopeless.length === asked.length) throw hopeless[0];
  }

  async #endOf({ history, backend }: TimelinePart, options: Op): Promise<TXID | undefined> {
    if (this.#breaker === undefined) return await history.maxTxid(options);
    return await this.#breaker.call(backend, (signal) => history.maxTxid({ signal }), options);
  }
}
