/** Listings of replicas for the status page. A listing costs requests at the backend, so it is cached for some seconds. */
import type { ReplicaClient } from '@litestream/core';
import { fileStatus } from './status.ts';

const LEVELS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
/** The most files of a level that are shown. */
const FILES_MAX = 2000;
const AGE_MS_MAX = 10_000;
/** How many replicas are listed at the same time. */
const RUNNING_MAX = 2;
/** How many listings may wait. The status page requests one replica at a time. */
const WAITING_MAX = 32;

export interface LevelListing {
  readonly level: number;
  readonly files: readonly object[];
  /** Whether the level has more files than these. */
  readonly more: boolean;
}

interface Entry {
  readonly listing: Promise<readonly LevelListing[]>;
  /** Undefined while the listing runs. */
  endedAtMs: number | undefined;
}

export class ReplicaListings {
  /** Weak: a replica that is removed takes its listing with it. */
  readonly #entries = new WeakMap<ReplicaClient, Entry>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** Levels that have files. Rejects as the backend does; a failure is remembered as long as a success. */
  of(client: ReplicaClient): Promise<readonly LevelListing[]> {
    const known = this.#entries.get(client);
    const isFresh = known !== undefined && (known.endedAtMs ?? Infinity) > performance.now() - AGE_MS_MAX;
    if (isFresh) return known.listing;
    const entry: Entry = { listing: this.#list(client), endedAtMs: undefined };
    const end = (): void => void (entry.endedAtMs = performance.now());
    entry.listing.then(end, end);
    this.#entries.set(client, entry);
    return entry.listing;
  }

  async #list(client: ReplicaClient): Promise<readonly LevelListing[]> {
    if (this.#waiting.length >= WAITING_MAX) throw new Error('too many listings are requested at the same time');
    while (this.#running >= RUNNING_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
    try {
      const levels = await Promise.all(LEVELS.map((level) => listLevel(client, level)));
      return levels.filter(({ files }) => files.length > 0);
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }
}

async function listLevel(client: ReplicaClient, level: number): Promise<LevelListing> {
  const files: object[] = [];
  for await (const file of client.ltxFiles(level)) {
    if (files.length === FILES_MAX) return { level, files, more: true };
    files.push(fileStatus(file));
  }
  return { level, files, more: false };
}
