import { defineCommand, duration, formatDuration, integer, plainLogger } from '@litestream/cli/kit';
import type { Command, Terminal } from '@litestream/cli/kit';
import type { Logger } from '@litestream/core';
import { binarySize, decimal, word } from '../util/flags.ts';
import { load } from '../load/load.ts';
import type { LoadProgress } from '../load/load.ts';
import { PATTERNS } from '../load/pattern.ts';
import { requireDatabase } from '../util/sqlite.ts';
import { dbFlag, jsonFlag, refuseArguments, required } from './flags.ts';
import { onInterrupt } from './interrupt.ts';

const MINUTE_MS = 60_000;
const LINE_INTERVAL_MS = 5000;

const flags = {
  db: dbFlag,
  'write-rate': {
    kind: integer('RATE', 100, 0),
    help: 'Operations per second of all workers together, including reads; 0 for as many as possible.\nDefaults to 100.',
  },
  duration: { kind: duration('DURATION', MINUTE_MS), help: 'How long to run, such as 10m or 1h.\nDefaults to 1m.' },
  pattern: {
    kind: word('PATTERN', PATTERNS, 'constant'),
    help: 'constant: always the full rate. burst: the full rate for 3 s of every 10. random: three quarters of it on average, changing ten times a second. wave: between 60 % and 100 % of it, in waves of a minute.\nDefaults to constant.',
  },
  'payload-size': { kind: binarySize('SIZE', 1024), help: 'Bytes of the blob in each row.\nDefaults to 1024.' },
  'read-ratio': {
    kind: decimal('RATIO', 0.2, 0, 1),
    help: 'Share of the operations that read, 0.0 to 1.0.\nDefaults to 0.2.',
  },
  workers: {
    kind: integer('COUNT', 1, 1),
    help: 'Threads, each with a connection of its own.\nDefaults to 1.',
  },
  'batch-size': { kind: integer('COUNT', 1, 1), help: 'Rows per write, in one transaction.\nDefaults to 1.' },
  json: jsonFlag,
};

export const command: Command = defineCommand({
  name: 'load',
  help: {
    about:
      'Writes to a database and reads from it, as an application does, until the duration is over or a signal arrives. It uses a table of its own, load_test.',
    usage: ['load [arguments] -db PATH'],
    notes: 'Exits with 1 if an operation failed.',
    examples: [
      { about: 'A steady load for ten minutes.', line: 'load -db /tmp/test.db -write-rate 100 -duration 10m' },
      { about: 'Bursts for an hour.', line: 'load -db /tmp/test.db -pattern burst -duration 1h' },
      {
        about: 'A heavy load from four connections.',
        line: 'load -db /tmp/test.db -write-rate 1000 -workers 4 -read-ratio 0.1',
      },
      { about: 'As fast as possible.', line: 'load -db /tmp/test.db -write-rate 0 -batch-size 10' },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    refuseArguments(args, 'load');
    const path = required(values.db, 'database path required', 'litestream-test load -db /path/to/db');
    requireDatabase(path);
    const logger = plainLogger(terminal, true);
    const durationMs = values.duration;
    logger.info('Starting load generation', {
      db: path,
      write_rate: values['write-rate'],
      duration: durationMs,
      pattern: values.pattern,
      payload_size: values['payload-size'],
      read_ratio: values['read-ratio'],
      workers: values.workers,
    });
    using interrupt = onInterrupt();
    interrupt.signal.addEventListener('abort', () => {
      logger.info('Received interrupt signal, stopping load generation');
    });
    const reporter = new Reporter(terminal, logger, durationMs);
    const result = await load({
      path,
      writeRate: values['write-rate'],
      durationMs,
      pattern: values.pattern,
      payloadSize: values['payload-size'],
      readRatio: values['read-ratio'],
      workerCount: values.workers,
      batchSize: values['batch-size'],
      signal: interrupt.signal,
      onProgress: (progress) => reporter.update(progress),
      onError: (message) => logger.error('Operation failed', { error: message }),
    }).finally(() => terminal.status(undefined));
    const seconds = result.durationMs / 1000;
    const summary = {
      db_path: path,
      duration_ms: Math.round(result.durationMs),
      total_writes: result.writes,
      total_rows: result.writes * values['batch-size'],
      total_reads: result.reads,
      total_errors: result.errors,
      avg_writes_per_sec: Number((result.writes / seconds).toFixed(1)),
      avg_reads_per_sec: Number((result.reads / seconds).toFixed(1)),
    };
    const { db_path: _, duration_ms: __, ...facts } = summary;
    logger.info('Load generation complete', { duration: result.durationMs, ...facts });
    if (values.json) terminal.out(`${JSON.stringify(summary, undefined, 2)}\n`);
    return result.errors > 0 ? 1 : 0;
  },
});

/** Reports rates since the last report: in log lines, or in one line on a terminal. */
class Reporter {
  readonly #terminal: Terminal;
  readonly #logger: Logger;
  readonly #durationMs: number;
  #last: LoadProgress = { writes: 0, reads: 0, errors: 0, elapsedMs: 0 };

  constructor(terminal: Terminal, logger: Logger, durationMs: number) {
    this.#terminal = terminal;
    this.#logger = logger;
    this.#durationMs = durationMs;
  }

  update(progress: LoadProgress): void {
    const { writes, reads, errors, elapsedMs } = progress;
    const stretchMs = elapsedMs - this.#last.elapsedMs;
    if (!this.#terminal.stderrIsTty && stretchMs < LINE_INTERVAL_MS) return;
    const perSecond = (now: number, before: number): number => ((now - before) / stretchMs) * 1000;
    const writeRate = perSecond(writes, this.#last.writes);
    const readRate = perSecond(reads, this.#last.reads);
    this.#last = progress;
    if (this.#terminal.stderrIsTty) {
      const left = formatDuration(Math.ceil(Math.max(0, this.#durationMs - elapsedMs) / 1000) * 1000);
      const rates = `${writeRate.toFixed(0)} writes/s  ${readRate.toFixed(0)} reads/s`;
      const line = `load  ${rates}  ${writes} written  ${errors} errors  ${left} left`;
      this.#terminal.status(line.slice(0, this.#terminal.columns - 1));
      return;
    }
    this.#logger.info('Load statistics', {
      writes_per_sec: writeRate.toFixed(1),
      reads_per_sec: readRate.toFixed(1),
      total_writes: writes,
      total_reads: reads,
      errors,
      elapsed: Math.round(elapsedMs / 1000) * 1000,
    });
  }
}
