import { copyReplica } from '@litestream/core';
import type { CopyResult } from '@litestream/core';
import { goJsonIndented } from '../../control/go-json.ts';
import { UsageError } from '../../util/usage-error.ts';
import { flag, integer } from '../../flags/kinds.ts';
import { plainLogger } from '../shared/configured-logger.ts';
import { Progress } from '../../terminal/progress.ts';
import { fileRow } from '../../text/file-row.ts';
import { formatTable } from '../../text/table.ts';
import { formatSize } from '../../units/size.ts';
import { defineCommand } from '../shared/command.ts';
import type { Command } from '../shared/command.ts';
import { configFlags } from '../shared/config-flags.ts';
import { openTarget } from '../shared/target.ts';

const flags = {
  ...configFlags,
  parallelism: { kind: integer('NUM', 8, 1), help: 'Copies this many files at the same time.\nDefaults to 8.' },
  'dry-run': { kind: flag(), help: 'Lists what would be copied.' },
  json: { kind: flag(), help: 'Prints JSON in place of text.' },
};

export const command: Command = defineCommand({
  name: 'copy',
  help: {
    about:
      'Copies a replica with all its restore points to another location or backend. Verifies each file while it is copied. Continues an interrupted copy where it stopped. Never deletes anything.',
    usage: ['copy [arguments] REPLICA_URL TARGET_URL', 'copy [arguments] DB_PATH TARGET_URL'],
    examples: [
      { about: 'From a folder to a bucket.', line: 'copy file:///backups/app s3://mybkt/app' },
      { about: 'From the replica of a database in the config.', line: 'copy /path/to/db file:///backups/app' },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    const attempt = 'litestream copy file:///backups/app s3://bucket/app';
    const [from, to, ...more] = args;
    if (from === undefined || to === undefined) throw new UsageError('source and target required', attempt);
    if (more.length > 0) throw new UsageError('too many arguments', attempt);
    await using source = await openTarget(from, values, terminal);
    await using target = await openTarget(to, { ...values, config: undefined }, terminal);
    if (source.text === target.text) throw new UsageError('source and target are the same replica', attempt);
    const logger = plainLogger(terminal, values.json);
    const progress = new Progress({ terminal, logger, name: 'copy' });
    const stop = new AbortController();
    const interrupt = (): void => stop.abort(new Error('interrupted: run the same command again to continue'));
    process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
    let result: CopyResult;
    try {
      result = await copyReplica(source.client, target.client, {
        parallelism: values.parallelism,
        dryRun: values['dry-run'],
        signal: stop.signal,
        logger,
        onProgress: ({ bytesDone, bytesTotal }) => progress.update('write', bytesDone, bytesTotal),
      });
    } finally {
      progress.clear();
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    }
    const files = result.copied.map(fileRow);
    if (values.json) {
      const summary = {
        source: source.text,
        target: target.text,
        size: result.size,
        present: result.present,
        files,
        contradictions: result.contradictions,
      };
      terminal.out(goJsonIndented(summary));
    } else if (values['dry-run']) {
      const rows = files.map((file) => [file.level, file.name, file.size, file.timestamp]);
      terminal.out(formatTable([['level', 'file', 'size', 'timestamp'], ...rows]));
    } else {
      const there =
        result.present === 0 ? '' : `, ${result.present} ${result.present === 1 ? 'was' : 'were'} there already`;
      terminal.out(
        `Copied ${files.length} ${files.length === 1 ? 'file' : 'files'}, ${formatSize(result.size)}, to ${target.text}${there}\n`,
      );
    }
    for (const contradiction of result.contradictions) terminal.err(`Error: ${contradiction}`);
    return result.contradictions.length === 0 ? 0 : 1;
  },
});
