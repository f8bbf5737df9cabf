/** Removes credentials from the texts of an error and of its causes. */
import { isLitestreamError } from '../../util/error.ts';
import type { LitestreamError } from '../../util/error.ts';
import { redact } from './redact.ts';
import { safeCause } from './sdk-errors.ts';

/** Deeper causes are dropped, since a chain may be a cycle. */
const DEPTH_MAX = 8;

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Changes the error in place, so that callers get the object that was thrown. */
export function redactError(error: LitestreamError, secrets: readonly string[], depth = 0): LitestreamError {
  const own = error as Writable<LitestreamError>;
  own.message = redact(own.message, secrets);
  if (own.stack !== undefined) own.stack = redact(own.stack, secrets);
  if (own.hint !== undefined) own.hint = redact(own.hint, secrets);
  if (own.object !== undefined) own.object = redact(own.object, secrets);
  if (own.cause !== undefined) own.cause = redactedCause(own.cause, secrets, depth + 1);
  return error;
}

/** An SDK's error contains the request with its headers: only its texts are kept. */
export function redactedCause(error: unknown, secrets: readonly string[], depth = 0): unknown {
  if (depth > DEPTH_MAX) return undefined;
  if (isLitestreamError(error)) return redactError(error, secrets, depth);
  const cause = safeCause(error, secrets);
  cause.message = redact(cause.message, secrets);
  if (cause.stack !== undefined) cause.stack = redact(cause.stack, secrets);
  const inner = (error as { cause?: unknown } | null)?.cause;
  if (inner instanceof Error && inner !== error) cause.cause = redactedCause(inner, secrets, depth + 1);
  return cause;
}
