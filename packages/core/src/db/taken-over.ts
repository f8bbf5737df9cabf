import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TXID } from '@litestream/ltx';
import { formatTxid, parseTxid } from '@litestream/ltx';

/**
 * Remembers, across restarts, that another program wrote the history up to a transaction. Upstream may have torn it
 * (docs/decisions/changing-hands.md): a snapshot of ours is owed, which restores then stand on.
 */
export class TakenOver {
  readonly #path: string;
  #txid: TXID = 0n;
  #settled = true;

  constructor(metaPath: string) {
    this.#path = join(metaPath, 'taken-over');
  }

  /** Last transaction of the other program, while a snapshot is owed for it. */
  get owed(): TXID | undefined {
    return this.#settled ? undefined : this.#txid;
  }

  /** The database was opened. `txid` is the last transaction if another program wrote it. */
  opened(txid: TXID | undefined, mode: number): void {
    this.#load();
    // Nothing was committed since: what was made good is not made good again at each start.
    if (txid === undefined || txid <= this.#txid) return;
    this.#txid = txid;
    this.#settled = false;
    this.#save(mode);
  }

  /** A snapshot of ours is on the replica. */
  settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#save();
  }

  /** A mark that was cut short by a crash is one all the same. */
  #load(): void {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    const [, txid, settled] = /^([0-9a-f]{16})( settled)?\n$/.exec(text) ?? [];
    this.#txid = txid === undefined ? 1n : parseTxid(txid);
    this.#settled = settled !== undefined;
  }

  #save(mode?: number): void {
    const text = `${formatTxid(this.#txid)}${this.#settled ? ' settled' : ''}\n`;
    writeFileSync(this.#path, text, mode === undefined ? {} : { mode });
  }
}
