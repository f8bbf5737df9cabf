import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../../storage/contract/contract.ts';
import type { Clock } from '../../util/clock.ts';
import { instantOf } from './instant.ts';
import { RecentPositions } from './recent-positions.ts';
import { maxTxidsOfReplica, timeOf } from './remote-position.ts';
import type { AskedEnds } from './remote-position.ts';

/** Asks where the levels of a replica end, and keeps the answer for work that follows soon. */
export class RemoteEnds {
  readonly #client: ReplicaClient;
  readonly #clock: Clock;
  readonly #onLearnt: (ends: AskedEnds | undefined) => void;
  readonly #tops: RecentPositions;
  /** Writes to the replica, failed ones included. */
  #writeCount = 0;
  #newest: LtxFileInfo | undefined;

  /** `onLearnt` is called with an answer that is up to date, and with undefined after each write. */
  constructor(client: ReplicaClient, clock: Clock, onLearnt: (ends: AskedEnds | undefined) => void) {
    this.#client = client;
    this.#clock = clock;
    this.#onLearnt = onLearnt;
    this.#tops = new RecentPositions(clock);
  }

  async ask(options: Op): Promise<AskedEnds> {
    const askedAt = instantOf(this.#clock);
    const ends = await maxTxidsOfReplica(this.#client, options);
    this.#tops.learn(ends.tops, askedAt.monotonic);
    return { ...ends, askedAt };
  }

  /** See `Replica.maxTxid`. */
  async maxTxid(options: Op): Promise<TXID> {
    const before = this.#writeCount;
    const ends = await this.ask(options);
    // Asked by a database that is being opened: the two meet next, unless more was sent meanwhile.
    if (this.#writeCount === before) this.#onLearnt(ends);
    this.#newest = ends.newest;
    return ends.max;
  }

  /** Time of the last transaction that `maxTxid` found; undefined if there was none. */
  async lastTimestamp(options: Op): Promise<Date | undefined> {
    return this.#newest === undefined ? undefined : await timeOf(this.#client, this.#newest, options);
  }

  /** See `Replica.takeTops`. */
  takeTops(): ReadonlyMap<number, LtxFileInfo> | undefined {
    return this.#tops.take();
  }

  /** Runs a write to the replica. What was learnt of the replica before it is not up to date afterwards. */
  async writing<T>(write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } finally {
      this.#writeCount += 1;
      this.#onLearnt(undefined);
    }
  }
}
