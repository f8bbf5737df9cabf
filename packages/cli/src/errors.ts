/** A wrong command line: printed as `Error:` and `Try:` on standard error. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  /** A command line that works, or one that explains. */
  readonly attempt: string | undefined;

  constructor(message: string, attempt?: string) {
    super(message);
    this.attempt = attempt;
  }
}
