/** One watched folder: finds out cheaply whether its names may have changed since it was last listed. */
import type { Dirent } from 'node:fs';
import { readdirSync, statSync } from 'node:fs';

/** Times of folders are exact to two seconds on the coarsest file systems: a change so soon after a list may not show. */
const GRAIN_MS = 2500;

/** Listing a folder that changes all the time takes at most a twentieth of the time, but happens every four seconds. */
const LIST_SHARE = 20;
const LIST_INTERVAL_MS_MAX = 4000;

export class FolderState {
  readonly path: string;
  #mark = '';
  #uncertain = true;
  #notBeforeMs = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** Its names if they may have changed, `unchanged`, or `gone` if it is no folder any more. */
  look(): Dirent[] | 'unchanged' | 'gone' {
    const stats = statSync(this.path, { throwIfNoEntry: false });
    if (stats === undefined || !stats.isDirectory()) return 'gone';
    const startMs = performance.now();
    // Changes when a name in the folder comes or goes, but not on writes to its files.
    const mark = `${stats.ino} ${stats.mtimeMs} ${stats.ctimeMs}`;
    if ((mark === this.#mark && !this.#uncertain) || startMs < this.#notBeforeMs) return 'unchanged';
    const entries = readOrNothing(this.path);
    if (entries === undefined) return 'gone';
    this.#mark = mark;
    this.#uncertain = Date.now() - Math.max(stats.mtimeMs, stats.ctimeMs) < GRAIN_MS;
    const endMs = performance.now();
    this.#notBeforeMs = endMs + Math.min((endMs - startMs) * LIST_SHARE, LIST_INTERVAL_MS_MAX);
    return entries;
  }
}

function readOrNothing(path: string): Dirent[] | undefined {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
