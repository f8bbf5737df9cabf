import { LitestreamError, isLitestreamError } from '../../util/error.ts';
import { classifyError } from './classify.ts';
import { errorText } from './error-text.ts';
import { redactError, redactedCause } from './redact-error.ts';
import { redact } from './redact.ts';
import type { ErrorClass } from './sdk-errors.ts';

/** The operation that failed. */
export interface ErrorContext {
  readonly operation: string;
  readonly backend: string;
  readonly object?: string | undefined;
  /** The client's own classification; if it returns `undefined`, the error's shape decides. */
  readonly classify?: ((error: unknown) => ErrorClass | undefined) | undefined;
  /** Values that must not appear in any text. */
  readonly secrets?: readonly string[] | undefined;
}

/** What failed, by the name of the operation. */
const ACTIONS: Readonly<Record<string, string>> = {
  init: 'connect',
  ltxFiles: 'list',
  openLtxFile: 'read',
  body: 'read',
  writeLtxFile: 'write',
  deleteLtxFiles: 'delete',
  deleteAll: 'delete all files',
  'objects.list': 'list',
  'objects.open': 'read',
  'objects.put': 'write',
  'objects.delete': 'delete',
};

/**
 * Any error as a `LitestreamError` with operation, backend, object, cause and hint. Returns an already wrapped error
 * unchanged, so an error is wrapped once even if it crosses several layers.
 */
export function wrapError(error: unknown, context: ErrorContext): LitestreamError {
  const { operation, backend, object, secrets = [] } = context;
  const raised = isLitestreamError(error) ? error : undefined;
  if (raised !== undefined) redactError(raised, secrets);
  if (raised?.operation !== undefined && raised.backend !== undefined) return raised;
  const kind = raised ?? context.classify?.(error) ?? classifyError(error);
  const action = ACTIONS[operation];
  const failed = action === undefined ? operation : `cannot ${action}`;
  const subject = object === undefined ? failed : `${failed} ${object}`;
  // Some clients put their own name before the text.
  const text = errorText(error).replace(`${backend}: `, '');
  return new LitestreamError(redact(`${backend}: ${subject}: ${text}`, secrets), {
    code: kind.code,
    retryable: kind.retryable,
    operation,
    backend,
    object: object === undefined ? undefined : redact(object, secrets),
    hint: kind.hint === undefined ? undefined : redact(kind.hint, secrets),
    cause: raised === undefined ? redactedCause(error, secrets) : raised.cause,
  });
}
