/** A wrong command line: printed as `Error:` and `Try:` on standard error. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  /** A valid command line, or one that prints help. */
  readonly attempt: string | undefined;
  /** Lines of advice, printed between the two. */
  readonly details: string | undefined;

  constructor(message: string, attempt?: string, details?: string) {
    super(message);
    this.attempt = attempt;
    this.details = details;
  }
}
