import { flag, oneOf, text } from '../flags/kinds.ts';
import type { ParsedFlags } from '../flags/parse.ts';
import { UsageError } from '../util/usage-error.ts';
import { LOG_LEVELS } from '../log/format.ts';
import { configuredLogger } from './shared/configured-logger.ts';
import { urlWarning, isFileUrl } from '../config/file-url.ts';
import { expandPath, isReplicaUrl } from '../config/paths.ts';
import type { Config } from '../config/types.ts';
import { defineCommand } from './shared/command.ts';
import type { Command } from './shared/command.ts';
import { configFlags, readConfig } from './shared/config-flags.ts';

const flags = {
  ...configFlags,
  exec: {
    kind: text('CMD'),
    help: 'Runs this program beside replication, and passes signals on to it. When it exits, litestream replicates its last commits and exits with the same exit code.',
  },
  once: {
    kind: flag(),
    help: 'Replicates all commits made so far, then exits. Cannot be used with -exec.',
  },
  'force-snapshot': { kind: flag(), help: 'Writes a snapshot of every database. Needs -once.' },
  'enforce-retention': {
    kind: flag(),
    help: 'Removes snapshots older than the retention in the config, and the files that only they need. Needs -once.',
  },
  lease: {
    kind: flag(),
    help: 'Waits for the lease on each replica, and writes to the replica only while this process holds the lease. Like lease: true in the config.',
  },
  'log-level': {
    kind: oneOf('LEVEL', [...LOG_LEVELS, 'TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'warning', 'WARNING'], undefined),
    help: 'Logs from this level up: trace, debug, info, warn, error.\nOverrides LOG_LEVEL and the config.',
  },
  'restore-if-db-not-exists': {
    kind: flag(),
    help: 'Restores databases that do not exist before replication starts. A replica without a backup is not an error.',
  },
};
type Parsed = ParsedFlags<typeof flags>;

export const command: Command = defineCommand({
  name: 'replicate',
  help: {
    about:
      'Monitors SQLite databases and replicates every commit until it is stopped: the databases of a config file, or the one on the command line.',
    usage: ['replicate [arguments]', 'replicate [arguments] DB_PATH REPLICA_URL...'],
    notes:
      'SIGINT or SIGTERM stops it after a last sync. The shutdown takes at most 30 seconds (shutdown-timeout); a second signal ends it at once. The exit status is 1 if the last sync fails. SIGHUP reloads the config file: added databases start, removed ones stop, changed ones restart, and the others continue.',
    examples: [
      { about: 'The databases of /etc/litestream.yml.', line: 'replicate' },
      { about: 'One database into a folder.', line: 'replicate app.db file:///backup/app' },
      { about: 'An application and its database.', line: 'replicate -exec "node app.js" app.db s3://mybucket/app' },
      { about: 'A backup from cron.', line: 'replicate -once -force-snapshot app.db s3://mybucket/app' },
    ],
  },
  flags,
  async run(parsed, { terminal }) {
    const { values, args } = parsed;
    const [path, ...urls] = args;
    checkFlags(parsed);
    if (values['log-level'] !== undefined) process.env['LOG_LEVEL'] = values['log-level'];

    const warnings = urls.map(urlWarning).filter((each) => each !== undefined);
    const read = (): Promise<Config> =>
      readConfig(values, terminal, (warning) => warnings.push(warning), 'give a database and its replica URL');
    const config = path === undefined ? await read() : await configOf(path, urls, values.plugin);
    const logger = configuredLogger(config.logging, terminal);
    const tellWarnings = (): void => {
      for (const warning of warnings.splice(0)) logger.warn(warning);
    };
    tellWarnings();
    const reread = async (): Promise<Config> => {
      const again = await read();
      tellWarnings();
      return override(again, parsed);
    };
    const { replicate } = await import('../replicate/replicate.ts');
    return replicate({
      config: override(config, parsed),
      logger,
      terminal,
      once: onceOf(parsed, config),
      reread: path === undefined ? reread : undefined,
      noExpandEnv: values['no-expand-env'],
    });
  },
});

function checkFlags({ values, args, given }: Parsed): void {
  const [path, ...urls] = args;
  if (path !== undefined) {
    if (urls.length === 0) {
      throw new UsageError(
        `must specify at least one replica URL for ${path}`,
        `litestream replicate ${path} s3://bucket/prefix`,
      );
    }
    const misplaced = urls.find((url) => url.startsWith('-'));
    if (misplaced !== undefined) {
      throw new UsageError(
        `flag "${misplaced}" must be positioned before DB_PATH and REPLICA_URL arguments`,
        `litestream replicate ${misplaced} ${path} REPLICA_URL`,
      );
    }
    if (given.has('config')) throw new UsageError('cannot specify a replica URL and the -config flag');
    const bare = urls.find((url) => !isReplicaUrl(url) && !isFileUrl(url));
    if (bare !== undefined) {
      throw new UsageError(
        `replica url scheme required: ${bare}`,
        `litestream replicate ${path} file://${expandPath(bare)}`,
      );
    }
  }
  if (values.once && values.exec) throw new UsageError('cannot specify -once flag with -exec');
  for (const name of ['force-snapshot', 'enforce-retention'] as const) {
    if (values[name] && !values.once) throw new UsageError(`cannot specify -${name} flag without -once`);
  }
}

/** The config that a command line with a database and replica URLs stands for. */
async function configOf(path: string, urls: readonly string[], plugins: readonly string[]): Promise<Config> {
  const { commandLineConfig } = await import('../databases/command-line.ts');
  return commandLineConfig(path, urls, plugins);
}

/** Flags override the config. */
function override(config: Config, { values }: Parsed): Config {
  const restore = values['restore-if-db-not-exists'];
  const lease = { ttlMs: undefined, owner: undefined };
  return {
    ...config,
    exec: values.exec || config.exec,
    databases: config.databases.map((database) => ({
      ...database,
      restoreIfDbNotExists: restore || database.restoreIfDbNotExists,
      replicas: values.lease
        ? database.replicas.map((replica) => ({ ...replica, lease: replica.lease ?? lease }))
        : database.replicas,
    })),
  };
}

function onceOf(
  { values }: Parsed,
  config: Config,
): { readonly forceSnapshot: boolean; readonly enforceRetention: boolean } | undefined {
  if (!values.once) return undefined;
  if (config.exec !== undefined) throw new UsageError('cannot specify -once flag with -exec');
  return { forceSnapshot: values['force-snapshot'], enforceRetention: values['enforce-retention'] };
}
