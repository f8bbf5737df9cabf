/** The text of any thrown value. Never throws, even if a library puts the answer of a server into an error. */
export function errorText(error: unknown): string {
  try {
    if (!(error instanceof Error)) return String(error);
    const message: unknown = error.message;
    if (typeof message !== 'string') return `${error.name}: ${JSON.stringify(message)}`;
    if (message !== '') return message;
    // An `AggregateError` of Node has an empty message; the errors inside have the texts.
    if (error instanceof AggregateError) return error.errors.map(errorText).join('; ');
    const name: unknown = error.name;
    return typeof name === 'string' ? name : 'Error';
  } catch {
    return 'an error that cannot be read';
  }
}
