import { refuseSecondLibrary } from './library-conflict.ts';
import type { SqliteDriver } from './sqlite-driver.ts';

/** How often to check whether another copy of SQLite has opened the database since. */
const INTERVAL_MS = 5000;

/** Checks from time to time for another copy of SQLite in this process that has the database open. */
export class LibraryWatch {
  readonly #pathOf: () => string;
  readonly #driver: SqliteDriver;
  #checkedAtMs = -INTERVAL_MS;

  constructor(pathOf: () => string, driver: SqliteDriver) {
    this.#pathOf = pathOf;
    this.#driver = driver;
  }

  /** Throws `DRIVER_CONFLICT`; while there is a conflict, at each call. */
  check(): void {
    const nowMs = performance.now();
    if (nowMs - this.#checkedAtMs < INTERVAL_MS) return;
    refuseSecondLibrary(this.#pathOf(), this.#driver, INTERVAL_MS);
    this.#checkedAtMs = nowMs;
  }
}
