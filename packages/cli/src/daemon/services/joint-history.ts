/** The timeline of a database with several replicas: that of the replica with the highest TXID. */
import { hasCode } from '@litestream/core';
import type { History, Op, Replica, TXID } from '@litestream/core';
import type { CircuitBreaker } from './open-patience.ts';

export interface TimelinePart {
  readonly history: Pick<Replica, 'maxTxid' | 'openLevel0' | 'lastTimestamp'>;
  /** The backend of the replica, which fails as a whole; undefined for a folder, which fails alone. */
  readonly backend: string | undefined;
}

/**
 * Leaves out replicas that do not answer in time: replication to the others does not wait for them. `Replica` compares them
 * with the database when they answer. Without a breaker, all replicas have to answer.
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

  /** Reads from the replica with the highest TXID: another one may hold other pages under the same TXID. */
  async openLevel0(txid: TXID, options: Op = {}): Promise<AsyncIterable<Uint8Array> | undefined> {
    return await this.#farthest?.openLevel0(txid, options);
  }

  async lastTimestamp(options: Op = {}): Promise<Date | undefined> {
    return await this.#farthest?.lastTimestamp(options);
  }

  /** A replica that fails is asked again at its first upload, which reports the failure. */
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
