import { statSync } from 'node:fs';

/** Times of a file are kept to a few milliseconds: a write right after a look may leave them as they were. */
const CLOCK_GRAIN_MS = 50;

/** Remembers how a database and its WAL looked, to tell cheaply whether they may have changed since. */
export class ChangeMarker {
  readonly #path: string;
  #mark = '';
  /** The WAL was written to so shortly before it was marked that another write might not show. */
  #uncertain = true;

  constructor(path: string) {
    this.#path = path;
  }

  /** To be called before the log is read, never after. */
  mark(): void {
    const { mark, modifiedMs } = this.#look();
    this.#mark = mark;
    this.#uncertain = Date.now() - modifiedMs < CLOCK_GRAIN_MS;
  }

  mayHaveChanged(): boolean {
    return this.#uncertain || this.#look().mark !== this.#mark;
  }

  #look(): { mark: string; modifiedMs: number } {
    const database = statSync(this.#path, { throwIfNoEntry: false });
    const wal = statSync(`${this.#path}-wal`, { throwIfNoEntry: false });
    return {
      // The database file, too: a checkpoint of another program changes it, and nothing else should.
      mark: [database, wal].map((file) => `${file?.ino} ${file?.size} ${file?.mtimeMs}`).join(' '),
      modifiedMs: wal?.mtimeMs ?? 0,
    };
  }
}
