/** The timeline of a database with several replicas: that of the replica with the highest TXID. */
import type { TXID } from '@litestream/ltx';
import type { History } from '../../db/session/options.ts';
import type { Replica } from '../../replica/replica.ts';
import type { Op } from '../../storage/contract/contract.ts';
import { hasCode, LitestreamError } from '../../util/error.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';

export interface TimelinePart {
  readonly history: Pick<Replica, 'maxTxid' | 'openLevel0' | 'lastTimestamp'>;
  /** The circuit of its backend. If given, a backend that does not answer is skipped for a while; see `CircuitBreaker`. */
  readonly circuit: string | undefined;
  /** A TXID that it has reached, if it was asked before: it counts where the replica does not answer in time. */
  readonly reached?: TXID | undefined;
}

/**
 * How many replicas have to answer before a database opens. With `all`, the database waits for each without a limit. With `one` and
 * `none`, it waits a few seconds, and `Replica` compares the other replicas with the database when they answer.
 */
export type RequiredAnswers = 'all' | 'one' | 'none';

export interface FarthestTimelineOptions {
  readonly required: RequiredAnswers;
  readonly breaker: CircuitBreaker;
}

export class FarthestTimeline implements Required<History> {
  readonly #parts: readonly TimelinePart[];
  readonly #options: FarthestTimelineOptions;
  #farthest: TimelinePart['history'] | undefined;

  constructor(parts: readonly TimelinePart[], options: FarthestTimelineOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  async maxTxid(options: Op = {}): Promise<TXID> {
    const asked = await Promise.allSettled(this.#parts.map((part) => this.#endOf(part, options)));
    this.#requireAnswers(asked, options);
    const tops = asked.map((each, index) => {
      const answer = each.status === 'fulfilled' ? each.value : undefined;
      return answer ?? this.#parts[index]?.reached ?? 0n;
    });
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

  /** A replica that fails here is asked again at its first upload, which reports the failure. */
  #requireAnswers(asked: readonly PromiseSettledResult<TXID | undefined>[], { signal }: Op): void {
    signal?.throwIfAborted();
    const { required } = this.#options;
    const failures = asked.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    const hopeless: unknown[] = failures.filter((error) => hasCode(error, 'CONFIG_INVALID'));
    if (required === 'all' && failures.length > 0) throw failures[0];
    if (hopeless.length === asked.length) throw hopeless[0];
    const isAnswered = asked.some((each) => each.status === 'fulfilled' && each.value !== undefined);
    if (required !== 'one' || isAnswered) return;
    if (failures.length > 0) throw failures[0];
    throw silentError(asked.length);
  }

  async #endOf({ history, circuit }: TimelinePart, options: Op): Promise<TXID | undefined> {
    const { required, breaker } = this.#options;
    if (required === 'all') return await history.maxTxid(options);
    return await breaker.ask(circuit, (signal) => history.maxTxid({ signal }), options);
  }
}

function silentError(count: number): LitestreamError {
  return new LitestreamError(`none of the ${count} replicas answered in time`, {
    code: 'UNAVAILABLE',
    retryable: true,
    operation: 'open',
    hint: 'Check the network, then try again. At least one replica has to answer: it determines where the timeline of the database ends.',
  });
}
