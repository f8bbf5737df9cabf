import { defineCommand, flag, plainLogger } from '@litestream/cli/kit';
import type { Command } from '@litestream/cli/kit';
import { decimal, word } from '../util/flags.ts';
import { CHECKPOINT_MODES, shrink } from '../database/shrink.ts';
import { dbFlag, jsonFlag, refuseArguments, required } from './flags.ts';
import { onInterrupt } from './interrupt.ts';

const MEBIBYTE = 2 ** 20;

const flags = {
  db: dbFlag,
  'delete-percentage': {
    kind: decimal('PCT', 50, 0, 100),
    help: 'Share of the rows of each table to delete, 0 to 100.\nDefaults to 50.',
  },
  vacuum: { kind: flag(), help: 'Runs VACUUM at the end, which makes the file smaller.' },
  checkpoint: { kind: flag(), help: 'Runs a checkpoint after the deletion.' },
  'checkpoint-mode': {
    kind: word('MODE', CHECKPOINT_MODES, 'PASSIVE'),
    help: 'PASSIVE, FULL, RESTART or TRUNCATE.\nDefaults to PASSIVE.',
  },
  json: jsonFlag,
};

export const command: Command = defineCommand({
  name: 'shrink',
  help: {
    about: 'Deletes rows at random from every table of a database, each table in one transaction.',
    usage: ['shrink [arguments] -db PATH'],
    examples: [
      { about: 'Half of the rows.', line: 'shrink -db /tmp/test.db -delete-percentage 50' },
      {
        about: 'Three quarters of the rows, and a smaller file.',
        line: 'shrink -db /tmp/test.db -delete-percentage 75 -vacuum',
      },
      {
        about: 'With a checkpoint that empties the WAL.',
        line: 'shrink -db /tmp/test.db -checkpoint -checkpoint-mode TRUNCATE',
      },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    refuseArguments(args, 'shrink');
    const path = required(values.db, 'database path required', 'litestream-test shrink -db /path/to/db');
    const logger = plainLogger(terminal, true);
    logger.info('Starting database shrink operation', {
      db: path,
      delete_percentage: values['delete-percentage'],
      vacuum: values.vacuum,
      checkpoint: values.checkpoint,
    });
    using interrupt = onInterrupt();
    const result = await shrink({
      path,
      deletePercentage: values['delete-percentage'],
      vacuum: values.vacuum,
      checkpoint: values.checkpoint ? values['checkpoint-mode'] : undefined,
      signal: interrupt.signal,
      onStep: (step) => {
        logger.debug(step);
        terminal.status(`shrink: ${step} …`);
      },
    }).finally(() => terminal.status(undefined));
    for (const [table, rows] of Object.entries(result.deleted)) {
      logger.info('Deleted rows from table', { table, rows_deleted: rows });
    }
    const { checkpoint } = result;
    if (checkpoint !== undefined) {
      const facts = {
        mode: checkpoint.mode,
        busy: checkpoint.busy,
        pages_written: checkpoint.checkpointedFrameCount,
        total_pages: checkpoint.frameCount,
      };
      if (checkpoint.busy) logger.warn('Checkpoint was kept from finishing by another connection', facts);
      else logger.info('Checkpoint complete', facts);
    }
    const reduction = result.initialSize === 0 ? 0 : (1 - result.finalSize / result.initialSize) * 100;
    logger.info('Shrink operation complete', {
      duration: result.durationMs,
      initial_size_mb: Math.floor(result.initialSize / MEBIBYTE),
      final_size_mb: Math.floor(result.finalSize / MEBIBYTE),
      reduction_percent: reduction.toFixed(1),
    });
    if (values.json) {
      const summary = {
        db_path: path,
        initial_size: result.initialSize,
        size_after_delete: result.sizeAfterDelete,
        final_size: result.finalSize,
        deleted: result.deleted,
        checkpoint:
          checkpoint === undefined
            ? null
            : {
                mode: checkpoint.mode,
                busy: checkpoint.busy,
                frames: checkpoint.frameCount,
                checkpointed_frames: checkpoint.checkpointedFrameCount,
              },
        duration_ms: Math.round(result.durationMs),
      };
      terminal.out(`${JSON.stringify(summary, undefined, 2)}\n`);
    }
    return 0;
  },
});
