import { Progress, defineCommand, formatSize, integer, plainLogger } from '@litestream/cli/kit';
import type { Command } from '@litestream/cli/kit';
import { binarySize, decimal } from '../util/flags.ts';
import { populate } from '../database/populate.ts';
import { dbFlag, jsonFlag, refuseArguments, required } from './flags.ts';
import { onInterrupt } from './interrupt.ts';

const MEBIBYTE = 2 ** 20;

const flags = {
  db: dbFlag,
  'target-size': {
    kind: binarySize('SIZE', 100 * MEBIBYTE),
    help: 'Size of the database, such as 500MB or 1.5GB (powers of 1024).\nDefaults to 100MB.',
  },
  'row-size': { kind: binarySize('SIZE', 1024), help: 'Bytes of the blob in each row.\nDefaults to 1024.' },
  'batch-size': { kind: integer('COUNT', 1000, 1), help: 'Rows per transaction.\nDefaults to 1000.' },
  'table-count': { kind: integer('COUNT', 1, 1), help: 'Tables to create.\nDefaults to 1.' },
  'index-ratio': {
    kind: decimal('RATIO', 0.2, 0, 1),
    help: 'Share of the four scalar columns that get an index, 0.0 to 1.0.\nDefaults to 0.2, which is one of them.',
  },
  'page-size': { kind: integer('SIZE', 4096, 512), help: 'Bytes of a page, 512 to 65536.\nDefaults to 4096.' },
  json: jsonFlag,
};

export const command: Command = defineCommand({
  name: 'populate',
  help: {
    about: 'Creates a database of a given size, filled with rows that do not compress. Replaces an existing database.',
    usage: ['populate [arguments] -db PATH'],
    examples: [
      { about: 'A database of 1 GiB.', line: 'populate -db /tmp/test.db -target-size 1GB' },
      { about: 'Larger rows.', line: 'populate -db /tmp/test.db -target-size 2GB -row-size 4096' },
      {
        about: 'Beyond the lock page, with another page size.',
        line: 'populate -db /tmp/test.db -target-size 1.5GB -page-size 8192',
      },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    refuseArguments(args, 'populate');
    const path = required(values.db, 'database path required', 'litestream-test populate -db /path/to/db');
    const targetSize = values['target-size'];
    const logger = plainLogger(terminal, true);
    logger.info('Starting database population', {
      db: path,
      target_size: targetSize,
      row_size: values['row-size'],
      batch_size: values['batch-size'],
      table_count: values['table-count'],
      page_size: values['page-size'],
    });
    const progress = new Progress({ terminal, logger, name: 'populate' });
    using interrupt = onInterrupt();
    const result = await populate({
      path,
      targetSize,
      rowSize: values['row-size'],
      batchSize: values['batch-size'],
      tableCount: values['table-count'],
      indexRatio: values['index-ratio'],
      pageSize: values['page-size'],
      signal: interrupt.signal,
      onProgress: (size) => progress.update('write', Math.min(size, targetSize), targetSize),
    }).finally(() => progress.clear());
    const perSecond = result.size / (result.durationMs / 1000);
    logger.info('Population complete', {
      duration: result.durationMs,
      rows: result.rowCount,
      final_size_mb: Math.floor(result.size / MEBIBYTE),
      rate: `${formatSize(Math.round(perSecond))}/s`,
    });
    if (values.json) {
      const summary = {
        db_path: path,
        size: result.size,
        page_size: result.pageSize,
        rows: result.rowCount,
        duration_ms: Math.round(result.durationMs),
      };
      terminal.out(`${JSON.stringify(summary, undefined, 2)}\n`);
    }
    return 0;
  },
});
