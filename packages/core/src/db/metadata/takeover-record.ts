import { join } from 'node:path';
import type { TXID } from '@litestream/ltx';
import { formatTxid, parseTxid } from '@litestream/ltx';
import { isNoSmallFile, readSmallFile, writeSmallFile } from '../../files/small-files.ts';
import type { Ownership } from '../../files/safe-files.ts';

/**
 * Remembers, across restarts, that another program wrote the timeline up to a transaction. Litestream (Go) may have
 * left a gap in it (docs/decisions/0007-take-over-from-litestream-go.md): so we owe the replica a snapshot, which later restores start
 * from.
 */
export class TakeoverRecord {
  readonly #path: string;
  #txid: TXID = 0n;
  #settled = true;
  #ownership: Ownership | undefined;

  constructor(metaPath: string) {
    this.#path = join(metaPath, 'taken-over');
  }

  /** Last transaction of the other program, while a snapshot is owed for it. */
  get owed(): TXID | undefined {
    return this.#settled ? undefined : this.#txid;
  }

  /** The database was opened. `txid` is the last transaction if another program wrote it. */
  opened(txid: TXID | undefined, ownership: Ownership): void {
    this.#ownership = ownership;
    this.#load();
    // Nothing was committed since: one snapshot is enough, not one at each start.
    if (txid === undefined || txid <= this.#txid) return;
    this.#txid = txid;
    this.#settled = false;
    this.#save();
  }

  /** A snapshot of ours is on the replica. */
  settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#save();
  }

  /** A record that a crash cut short still counts. */
  #load(): void {
    let text: string;
    try {
      text = readSmallFile(this.#path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      if (!isNoSmallFile(error)) throw error;
      text = '';
    }
    const [, txid, settled] = /^([0-9a-f]{16})( settled)?\n$/.exec(text) ?? [];
    this.#txid = txid === undefined ? 1n : parseTxid(txid);
    this.#settled = settled !== undefined;
  }

  #save(): void {
    if (this.#ownership === undefined) throw new Error('saved before the database was opened');
    const text = `${formatTxid(this.#txid)}${this.#settled ? ' settled' : ''}\n`;
    writeSmallFile(this.#path, text, this.#ownership, { durable: false });
  }
}
