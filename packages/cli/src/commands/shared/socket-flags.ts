/** Flags and checks that all commands with a control socket share. */
import { DEFAULT_SOCKET_PATH } from '../../control/protocol.ts';
import { UsageError } from '../../util/usage-error.ts';
import { flag, integer, word } from '../../flags/kinds.ts';
import type { FlagKind } from '../../flags/kinds.ts';

interface Spec<T> {
  readonly kind: FlagKind<T>;
  readonly help: string;
}

export type SocketFlags = {
  readonly timeout: Spec<number>;
  readonly socket: Spec<string>;
  readonly json: Spec<boolean>;
};

export function socketFlags(timeoutSeconds: number): SocketFlags {
  return {
    timeout: {
      kind: integer('SECONDS', timeoutSeconds, Number.NEGATIVE_INFINITY),
      help: `Waits for an answer this long.\nDefaults to ${timeoutSeconds}.`,
    },
    socket: {
      kind: word('PATH', DEFAULT_SOCKET_PATH),
      help: `The control socket of the daemon.\nDefaults to ${DEFAULT_SOCKET_PATH}`,
    },
    json: { kind: flag(), help: 'Prints JSON.' },
  };
}

/** The one database path that these commands take. */
export function databaseArgument(args: readonly string[], attempt: string): string {
  const [path] = args;
  if (path === undefined) throw new UsageError('database path required', attempt);
  if (args.length > 1) throw new UsageError('too many arguments');
  return path;
}

export function checkTimeout(seconds: number): void {
  if (seconds <= 0) throw new UsageError('timeout must be greater than 0');
}
