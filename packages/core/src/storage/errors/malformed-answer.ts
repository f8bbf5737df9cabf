/** Errors for answers that do not come from the storage, but from a login page, a proxy or an attacker. */
import { LitestreamError } from '../../util/error.ts';
import type { ErrorClass } from './sdk-errors.ts';

/** Code and hint for an answer of the server that a library cannot read. */
export const MALFORMED_ANSWER: ErrorClass = {
  code: 'UNAVAILABLE',
  retryable: true,
  hint: 'Check that the endpoint is the server itself, and not a proxy or a login page in front of it.',
};

/** The error for such an answer. The library's own message may quote the answer, so it is left out. */
export function unreadableAnswer(backend: string): LitestreamError {
  return malformedAnswer(backend, 'it is damaged, or not in the expected format');
}

/** No storage server gives such an answer: it comes from a proxy, a captive portal, or an attacker. */
export function malformedAnswer(backend: string, what: string): LitestreamError {
  return new LitestreamError(`the server sent an invalid answer: ${what}`, {
    ...MALFORMED_ANSWER,
    backend,
  });
}

/** The types of web pages. A storage service answers requests for data with such a type only if an object has it. */
export function isWebPage(contentType: string | null | undefined): boolean {
  return /^\s*(text\/html|application\/xhtml\+xml)\b/i.test(contentType ?? '');
}
