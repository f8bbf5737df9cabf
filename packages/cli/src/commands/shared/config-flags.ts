/** Flags and checks that all commands with a config share. */
import { LitestreamError } from '@litestream/core';
import type { Config, DatabaseConfig } from '../../config/types.ts';
import { defaultConfigPath, expandPath, isReplicaUrl } from '../../config/paths.ts';
import { flag, list, text } from '../../flags/kinds.ts';
import type { FlagKind, ListKind } from '../../flags/kinds.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import { databaseOf } from '../../databases/directory.ts';
import type { SingleDatabase } from '../../databases/directory.ts';
import { UsageError } from '../../util/usage-error.ts';

export interface Spec<T> {
  readonly kind: FlagKind<T>;
  readonly help: string;
}

export const configFlags: {
  readonly config: Spec<string | undefined>;
  readonly 'no-expand-env': Spec<boolean>;
  readonly plugin: { readonly kind: ListKind; readonly help: string };
} = {
  config: { kind: text('PATH'), help: `Reads this config file.\nDefaults to ${defaultConfigPath()}` },
  'no-expand-env': { kind: flag(), help: 'Leaves $VARIABLES in the config file as they are.' },
  plugin: {
    kind: list('NAME'),
    help: 'Also loads a storage client from this npm package or path. May be repeated.',
  },
};

export interface ConfigFlagValues {
  readonly config: string | undefined;
  readonly 'no-expand-env': boolean;
  readonly plugin: readonly string[];
}

/**
 * Reads the config that the flags name. `warn` receives warnings about ignored parts; by default they go to standard
 * error. `alternative` is advice for a user without a config file.
 */
export async function readConfig(
  values: ConfigFlagValues,
  terminal: Terminal,
  warn: (warning: string) => void = (warning) => terminal.err(`Warning: ${warning}`),
  alternative?: string,
): Promise<Config> {
  const { loadConfig } = await import('../../config/load.ts');
  const path = values.config ?? defaultConfigPath();
  const { config, warnings, notices } = loadConfig(path, { expandEnv: !values['no-expand-env'], alternative });
  for (const warning of warnings) warn(warning);
  if (notices.length > 0) {
    const { configuredLogger } = await import('./configured-logger.ts');
    // Always to standard error: standard output may hold a result.
    const logger = configuredLogger({ ...config.logging, stderr: true }, terminal);
    for (const { message, fields } of notices) logger.warn(message, fields);
  }
  return { ...config, plugins: [...config.plugins, ...values.plugin] };
}

/**
 * The config of the database at this path, from a `path` or a `dir` entry. The file may be missing.
 *
 * @throws LitestreamError `CONFIG_INVALID` if no entry matches
 */
export function findDatabase(config: Config, path: string): SingleDatabase {
  const wanted = expandPath(path);
  const found = databaseOf(config.databases, wanted);
  if (found !== undefined) return found;
  const known = config.databases.flatMap(nameOf);
  const hint = known.length === 0 ? 'The config lists no databases.' : `The config has ${known.join(', ')}.`;
  throw new LitestreamError(`database not found in config: ${wanted}`, { code: 'CONFIG_INVALID', hint });
}

/** Names an entry of the config in a message. */
function nameOf({ path, directory }: DatabaseConfig): string[] {
  if (path !== undefined) return [path];
  if (directory === undefined) return [];
  return [`${directory.pattern} in ${directory.recursive ? 'and below ' : ''}${directory.path}`];
}

/** Refuses `-config` together with a replica URL, which needs no config. */
export function refuseConfigWithUrl(values: ConfigFlagValues, target: string): void {
  if (isReplicaUrl(target) && values.config !== undefined) {
    throw new UsageError('cannot specify a replica URL and the -config flag');
  }
}

/** Returns the only argument. A flag after it would count as a second argument, so it has its own message. */
export function oneArgument(args: readonly string[], missing: string, attempt: string): string {
  const [first, second] = args;
  if (first === undefined || first === '') throw new UsageError(missing, attempt);
  if (second === undefined) return first;
  if (second.startsWith('-')) throw new UsageError(`flag "${second}" must be positioned before ${first}`, attempt);
  throw new UsageError('too many arguments', attempt);
}
