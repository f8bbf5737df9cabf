import { errorText, isLitestreamError } from '@litestream/core';
import { isLtxError } from '@litestream/ltx';
import { redact } from './secrets.ts';

/** What went wrong, why and what to do about it, on one line, without secrets. */
export function describeError(error: unknown): string {
  const message = messageWithCauses(error);
  const hint = isLitestreamError(error) ? error.hint : undefined;
  const text = hint === undefined ? message : `${message.replace(/\.$/, '')}. ${hint}`;
  return redact(text).replaceAll(/\s*\n\s*/g, ' ');
}

/**
 * The message followed by those of its causes that it does not already quote, without secrets. A cause comes unredacted
 * from an SDK, so it is redacted before the comparison.
 */
export function messageWithCauses(error: unknown): string {
  let text = '';
  const seen = new Set<unknown>();
  for (let each: unknown = error; each !== undefined && each !== null && !seen.has(each); each = causeOf(each)) {
    seen.add(each);
    const message = redact(messageOf(each));
    if (message !== '' && !text.includes(message)) text += text === '' ? message : `: ${message}`;
  }
  return text === '' ? 'unknown error' : redact(text);
}

function causeOf(error: unknown): unknown {
  return error instanceof Error || isLitestreamError(error) ? error.cause : undefined;
}

function messageOf(error: unknown): string {
  return isLitestreamError(error) || isLtxError(error) ? error.message : errorText(error);
}
