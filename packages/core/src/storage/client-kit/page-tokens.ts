import type { LitestreamError } from '../../util/error.ts';
import { malformedAnswer } from '../errors/malformed-answer.ts';

/** Empty pages in a row; a service may send some while it skips deleted objects. */
const EMPTY_PAGES_MAX = 1000;

/**
 * The tokens of one listing, page after page. Detects a server that repeats a token, or sends only empty pages, which
 * would never end.
 */
export class PageTokens {
  readonly #backend: string;
  readonly #seen = new Set<string>();
  #emptyPages = 0;

  /** @param backend type of the client, for errors */
  constructor(backend: string) {
    this.#backend = backend;
  }

  /**
   * The token for the next request; undefined after the last page.
   *
   * @param token from the server's answer
   * @param count objects on the page
   * @throws LitestreamError `UNAVAILABLE` for a token that is not a string, for a repeated one, and for more than a
   *   thousand empty pages in a row
   */
  next(token: unknown, count: number): string | undefined {
    if (token === undefined || token === null || token === '') return undefined;
    if (typeof token !== 'string') throw this.#malformed('has a token of its next page that is not a string');
    if (this.#seen.has(token)) throw this.#malformed('repeats the token of a page');
    this.#emptyPages = count === 0 ? this.#emptyPages + 1 : 0;
    if (this.#emptyPages > EMPTY_PAGES_MAX) throw this.#malformed('does not end');
    this.#seen.add(token);
    return token;
  }

  #malformed(what: string): LitestreamError {
    return malformedAnswer(this.#backend, `the listing ${what}`);
  }
}
