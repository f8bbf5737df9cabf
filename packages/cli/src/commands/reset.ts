import { rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { LitestreamError, isDatabaseInUse, isLitestreamError, withMetadataLock } from '@litestream/core';
import { expandPath } from '../config/paths.ts';
import { databaseOf } from '../databases/directory.ts';
import { flag } from '../flags/kinds.ts';
import { plainLogger } from './shared/configured-logger.ts';
import { defaultMetaPath, filesBelow, ltxFolder, removeFolder, sizeOf } from '../util/local-state.ts';
import { defineCommand } from './shared/command.ts';
import type { Command } from './shared/command.ts';
import type { Config } from '../config/types.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { configFlags, oneArgument, readConfig } from './shared/config-flags.ts';
import type { ConfigFlagValues } from './shared/config-flags.ts';

const flags = {
  config: configFlags.config,
  'no-expand-env': configFlags['no-expand-env'],
  'dry-run': { kind: flag(), help: 'Prints the files that would be removed and removes none.' },
};

export const command: Command = defineCommand({
  name: 'reset',
  help: {
    about:
      'Removes the local LTX files of a database, so that the next sync starts with a fresh snapshot. This helps when they are damaged or missing. The database and its replica are not touched. Stop replication first.',
    usage: ['reset [arguments] DB_PATH'],
    examples: [
      { about: 'What would be removed?', line: 'reset -dry-run /path/to/db' },
      { about: 'Remove it.', line: 'reset /path/to/db' },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    const path = expandPath(oneArgument(args, 'database path required', 'litestream reset /path/to/db'));
    let metaPath = defaultMetaPath(path);
    if (values.config !== undefined) {
      const config = await readNamedConfig({ ...values, plugin: [] }, terminal);
      metaPath = databaseOf(config.databases, path)?.metaPath ?? metaPath;
    }
    if (sizeOf(path) === undefined) {
      throw new LitestreamError(`database does not exist: ${path}`, {
        code: 'DATABASE_MISSING',
        hint: 'Check the path.',
      });
    }
    const folder = ltxFolder(metaPath);
    if (sizeOf(metaPath) === undefined) {
      terminal.out(`No local state to reset for ${path}\nMeta directory does not exist: ${metaPath}\n`);
      return 0;
    }
    if (values['dry-run']) {
      const files = filesBelow(folder);
      terminal.out(`Dry run: local Litestream state would be reset for: ${path}\nWould remove: ${folder}\n`);
      if (files.length === 0) terminal.out('No local LTX files would be removed.\n');
      else
        terminal.out(
          `Files that would be removed:\n${files.map((file) => `  ${file}\n`).join('')}No files were removed.\n`,
        );
      return 0;
    }
    const reset = async (): Promise<void> => {
      terminal.out(`Resetting local Litestream state for: ${path}\nRemoving: ${folder}\n`);
      const logger = plainLogger(terminal, false).child({ db: basename(path) });
      logger.info('resetting local litestream state', { meta_path: metaPath, ltx_dir: folder });
      await removeFolder(folder);
      // The record of the last stop describes the removed files.
      rmSync(join(metaPath, 'rest.json'), { force: true });
      logger.info('local state reset complete, next sync will create fresh snapshot');
    };
    try {
      // With the lock held, a Litestream that starts meanwhile stands by.
      await withMetadataLock({ path, metaPath }, reset);
    } catch (error) {
      if (!isHeldHere(error)) throw error;
      await reset();
    }
    terminal.out('Reset complete. Next replication sync will create a fresh snapshot.\n');
    return 0;
  },
});

/**
 * Whether this process or its parent holds the lock. The daemon runs the commands of an assistant in a child process, and
 * recovers from the loss of its local files.
 */
function isHeldHere(error: unknown): boolean {
  if (!isDatabaseInUse(error)) return false;
  const { pid, host } = error.holder ?? {};
  return (pid === process.pid || pid === process.ppid) && host === hostname();
}

/** A config that cannot be read stops the reset before it looks at any file. */
async function readNamedConfig(values: ConfigFlagValues, terminal: Terminal): Promise<Config> {
  try {
    return await readConfig(values, terminal);
  } catch (error) {
    if (!isLitestreamError(error)) throw error;
    const { code, hint, message } = error;
    throw new LitestreamError(`cannot read config: ${message}`, { code, hint, cause: error });
  }
}
