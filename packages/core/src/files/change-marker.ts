import { statSync } from 'node:fs';
import { realDatabasePath } from './real-path.ts';

/** File times are only exact to a few milliseconds: a write right after a look may leave them unchanged. */
const CLOCK_GRAIN_MS = 50;

/** Remembers how a database and its WAL looked, to tell cheaply whether they may have changed since. */
export class ChangeMarker {
  readonly #path: string;
  /** The file that the path led to when it was marked. */
  #file: string;
  #mark = '';
  /** The WAL was written to so shortly before it was marked that another write might not show. */
  #uncertain = true;

  constructor(path: string) {
    this.#path = path;
    this.#file = path;
  }

  /** Call this before the WAL is read, never after. */
  mark(): void {
    this.#file = realDatabasePath(this.#path);
    const { mark, modifiedMs } = this.#look();
    this.#mark = mark;
    this.#uncertain = Date.now() - modifiedMs < CLOCK_GRAIN_MS;
  }

  /** Reports a change at the next look, even if the files look unchanged. */
  forget(): void {
    this.#uncertain = true;
  }

  mayHaveChanged(): boolean {
    return this.#uncertain || this.#look().mark !== this.#mark;
  }

  #look(): { mark: string; modifiedMs: number } {
    // By the path: a link may lead elsewhere by now.
    const database = statSync(this.#path, { throwIfNoEntry: false });
    const wal = statSync(`${this.#file}-wal`, { throwIfNoEntry: false });
    return {
      // Includes the database file: a checkpoint of another program changes it, and nothing else should.
      mark: [database, wal].map((file) => `${file?.ino} ${file?.size} ${file?.mtimeMs}`).join(' '),
      modifiedMs: wal?.mtimeMs ?? 0,
    };
  }
}
