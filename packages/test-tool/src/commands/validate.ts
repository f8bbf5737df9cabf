import { resolve } from 'node:path';
import {
  Progress,
  UsageError,
  configFlags,
  defineCommand,
  duration,
  openTarget,
  flag,
  plainLogger,
  text,
} from '@litestream/cli/kit';
import type { Command, FlagValues } from '@litestream/cli/kit';
import { txidText } from '@litestream/core';
import type { Logger } from '@litestream/core';
import { word } from '../util/flags.ts';
import { CHECK_TYPES, validate } from '../validate/validate.ts';
import type { CheckResult } from '../validate/validate.ts';
import { jsonFlag, refuseArguments, required } from './flags.ts';
import { onInterrupt } from './interrupt.ts';

const ATTEMPT = 'litestream-test validate -source-db /path/to/db -replica-url s3://bucket/prefix';

const flags = {
  'source-db': { kind: text('PATH'), help: 'Path of the database that is replicated. Required.' },
  'replica-url': { kind: text('URL'), help: 'Validates this replica.' },
  config: { kind: text('PATH'), help: 'Validates the replica of the database in this config file.' },
  'no-expand-env': configFlags['no-expand-env'],
  plugin: configFlags.plugin,
  'restored-db': {
    kind: text('PATH'),
    help: 'Restores to this path. Replaces an existing file, and keeps the result.\nDefaults to the path of the database, with .restored after it.',
  },
  'check-type': {
    kind: word('TYPE', CHECK_TYPES, 'quick'),
    help: 'quick or integrity: the check of SQLite with this name, on the restored database. checksum: its schema and rows equal those of the source. full: all of these, and the numbers of rows.\nDefaults to quick.',
  },
  'ltx-continuity': {
    kind: flag(),
    help: 'Checks that each level of the replica is one unbroken chain; with full, reads every file and verifies its checksum too.',
  },
  wait: {
    kind: duration('DURATION', 0),
    help: 'Validates again, for at most this long, while the replica still changes.\nDefaults to one attempt.',
  },
  json: jsonFlag,
};

export const command: Command = defineCommand({
  name: 'validate',
  help: {
    about: 'Restores a replica and checks the result against its database.',
    usage: [
      'validate [arguments] -source-db PATH -replica-url URL',
      'validate [arguments] -source-db PATH -config PATH',
    ],
    notes:
      'checksum and full compare with the current source, so stop all writers first. Exits with 1 if a check fails.',
    examples: [
      { about: 'With the quick check.', line: 'validate -source-db /tmp/test.db -replica-url s3://bucket/test' },
      {
        about: 'With all checks, once the replica has caught up.',
        line: 'validate -source-db /tmp/test.db -replica-url s3://bucket/test -check-type full -wait 30s',
      },
      {
        about: 'With a config file.',
        line: 'validate -source-db /tmp/test.db -config /etc/litestream.yml -check-type integrity',
      },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    refuseArguments(args, 'validate');
    const sourcePath = required(values['source-db'], 'source database path required', ATTEMPT);
    const target = targetOf(values, sourcePath);
    const restoredPath = values['restored-db'] ?? `${sourcePath}.restored`;
    const logger = plainLogger(terminal, true);
    await using opened = await openTarget(target, values, terminal);
    logger.info('Starting validation', {
      source_db: sourcePath,
      replica_url: opened.text,
      check_type: values['check-type'],
      ltx_continuity: values['ltx-continuity'],
    });
    const progress = new Progress({ terminal, logger, name: 'restore' });
    using interrupt = onInterrupt();
    const result = await validate({
      sourcePath,
      client: opened.client,
      restoredPath,
      checkType: values['check-type'],
      ltxContinuity: values['ltx-continuity'],
      waitMs: values.wait,
      logger,
      signal: interrupt.signal,
      onProgress: ({ phase, bytesDone, bytesTotal }) => progress.update(phase, bytesDone, bytesTotal),
      onCheck: (name) => terminal.status(`validate: ${name} …`),
      onResult: (check) => {
        progress.clear();
        logResult(logger, check);
      },
    }).finally(() => terminal.status(undefined));
    if (result.passed) logger.info('All validation checks passed');
    if (values.json) {
      const { restored, checks, passed } = result;
      const summary = {
        source_db: sourcePath,
        replica: opened.client.type,
        restored_db: restoredPath,
        txid: restored === undefined ? null : txidText(restored.txid),
        passed,
        checks: checks.map(({ name, durationMs, error, details, ...check }) => ({
          check_type: name,
          passed: check.passed,
          duration_ms: Math.round(durationMs),
          error: error ?? null,
          details,
        })),
      };
      terminal.out(`${JSON.stringify(summary, plain, 2)}\n`);
    }
    if (!result.passed) terminal.err('Error: validation failed');
    return result.passed ? 0 : 1;
  },
});

function targetOf(values: FlagValues<typeof flags>, sourcePath: string): string {
  const { 'replica-url': url, config } = values;
  if (url === undefined && config === undefined) throw new UsageError('replica URL or config file required', ATTEMPT);
  if (url === undefined) return sourcePath;
  if (config !== undefined) throw new UsageError('cannot specify both -replica-url and -config', ATTEMPT);
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) {
    throw new UsageError(
      `replica url scheme required: ${url}`,
      `litestream-test validate -replica-url file://${resolve(url)}`,
    );
  }
  return url;
}

function logResult(logger: Logger, { name, passed, durationMs, error, details }: CheckResult): void {
  const facts = { check_type: name, duration: durationMs };
  if (passed) logger.info('Check passed', { ...facts, ...shortOf(details) });
  else logger.error('Validation failed', { ...facts, error });
}

/** The details that fit on a line. */
function shortOf(details: CheckResult['details']): Record<string, unknown> {
  return Object.fromEntries(Object.entries(details).filter(([, value]) => typeof value !== 'object'));
}

function plain(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
