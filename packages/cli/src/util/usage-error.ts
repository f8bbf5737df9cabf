/** A wrong command line: printed as `Error:` and `Try:` on standard error. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  /** A command line that works, or one that explains. */
  readonly attempt: string | undefined;
  /** Lines that help to choose, printed between the two. */
  readonly details: string | undefined;

  constructor(message: string, attempt?: string, details?: string) {
    super(message);
    this.attempt = attempt;
    this.details = details;
  }
}
