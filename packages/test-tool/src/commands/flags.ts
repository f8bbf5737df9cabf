/** Flags that commands share. */
import { UsageError, flag, text } from '@litestream/cli/kit';
import type { FlagKind } from '@litestream/cli/kit';

interface Spec<T> {
  readonly kind: FlagKind<T>;
  readonly help: string;
}

export const jsonFlag: Spec<boolean> = { kind: flag(), help: 'Prints a summary as JSON on standard output.' };
export const dbFlag: Spec<string | undefined> = { kind: text('PATH'), help: 'Path of the database. Required.' };

/** The value of a required flag. */
export function required(value: string | undefined, message: string, attempt: string): string {
  if (value === undefined || value === '') throw new UsageError(message, attempt);
  return value;
}

/** These commands take flags only: any other word would be ignored. */
export function refuseArguments(args: readonly string[], command: string): void {
  if (args.length > 0) throw new UsageError(`unexpected argument: ${args[0]}`, `litestream-test ${command} -h`);
}
