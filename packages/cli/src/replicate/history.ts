import type { History, Op, TXID } from '@litestream/core';

/** The history of a database with several replicas: that of the one which reaches farthest. */
export class JointHistory implements History {
  readonly #histories: readonly History[];
  #farthest: History | undefined;

  constructor(histories: readonly History[]) {
    this.#histories = histories;
  }

  async maxTxid(options: Op = {}): Promise<TXID> {
    const tops = await Promise.all(this.#histories.map((history) => history.maxTxid(options)));
    const top = tops.reduce((max, txid) => (txid > max ? txid : max), 0n);
    this.#farthest = this.#histories[tops.indexOf(top)];
    return top;
  }

  async openLevel0(txid: TXID, options: Op = {}): Promise<AsyncIterable<Uint8Array> | undefined> {
    for (const history of new Set([this.#farthest, ...this.#histories])) {
      const file = await history?.openLevel0(txid, options);
      if (file !== undefined) return file;
    }
    return undefined;
  }
}
