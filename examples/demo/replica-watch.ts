/** Sees level-0 files arrive in a file replica, from outside: what a file says counts from when it is there. */
import { readdirSync, statSync, watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { join } from 'node:path';
import { parseLtxFilename } from '@litestream/ltx';

export interface Arrival {
  readonly txid: bigint;
  readonly size: number;
  /** Time in the file's header, which the replica keeps as its modification time. */
  readonly headerTimeMs: number;
  /** When it was seen. */
  readonly seenMs: number;
}

export class ReplicaWatch implements Disposable {
  readonly arrivals: Arrival[] = [];
  readonly #folder: string;
  readonly #watcher: FSWatcher;
  readonly #known = new Set<string>();
  #waiting: (() => void) | undefined;

  /** @param replica Its level-0 folder has to exist. */
  constructor(replica: string) {
    this.#folder = join(replica, 'ltx', '0');
    this.#watcher = watch(this.#folder, () => this.look());
    this.look();
  }

  /** Resolves with the first file that is not among the first `count`. */
  async after(count: number, timeoutMs: number): Promise<Arrival> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const arrival = this.arrivals[count];
      if (arrival !== undefined) return arrival;
      if (performance.now() > deadlineMs) throw new Error(`no new file reached the replica within ${timeoutMs} ms`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting = resolve;
      const timer = setTimeout(() => resolve(), 250);
      await promise;
      clearTimeout(timer);
      this.look();
    }
  }

  look(): void {
    const seenMs = performance.timeOrigin + performance.now();
    for (const name of readdirSync(this.#folder).sort()) {
      const range = parseLtxFilename(name);
      if (range === undefined || this.#known.has(name)) continue;
      this.#known.add(name);
      const { size, mtimeMs } = statSync(join(this.#folder, name));
      this.arrivals.push({ txid: range.maxTxid, size, headerTimeMs: mtimeMs, seenMs });
    }
    this.#waiting?.();
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
  }
}
