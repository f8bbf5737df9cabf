import { LitestreamError } from '../error.ts';

/** Pages in a row without an object; a service may give some while it skips what was deleted. */
const EMPTY_PAGES_MAX = 1000;

/**
 * The tokens of one listing, page after page. A server that repeats one, or gives page after page with nothing on it, would
 * be asked for ever.
 */
export class PageTokens {
  readonly #backend: string;
  #previous: string | undefined;
  #emptyPages = 0;

  /** @param backend type of the client, for errors */
  constructor(backend: string) {
    this.#backend = backend;
  }

  /**
   * The token to ask on with; undefined after the last page.
   *
   * @param token what the server gave
   * @param count objects on the page
   * @throws LitestreamError `UNAVAILABLE` for one that is no text, for the same one twice in a row, and for a thousand empty
   *   pages in a row
   */
  next(token: unknown, count: number): string | undefined {
    if (token === undefined || token === null || token === '') return undefined;
    if (typeof token !== 'string') throw this.#malformed('gives no text for its next page');
    if (token === this.#previous) throw this.#malformed('names the same page again');
    this.#emptyPages = count === 0 ? this.#emptyPages + 1 : 0;
    if (this.#emptyPages > EMPTY_PAGES_MAX) throw this.#malformed('does not end');
    this.#previous = token;
    return token;
  }

  #malformed(what: string): LitestreamError {
    return malformedAnswer(this.#backend, `the listing ${what}`);
  }
}

/** The server answered something that no server of its kind answers: a proxy, a captive portal, or an attack. */
export function malformedAnswer(backend: string, what: string): LitestreamError {
  return new LitestreamError(`the server's answer cannot be used: ${what}`, {
    code: 'UNAVAILABLE',
    retryable: true,
    backend,
    hint: 'Check that the endpoint is the server itself, and not a proxy or a login page before it.',
  });
}
