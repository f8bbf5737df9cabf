import { SNAPSHOT_LEVEL, withCreatedAt } from '@litestream/core';
import type { LtxFileInfo } from '@litestream/core';
import { formatTxid } from '@litestream/ltx';
import { goJsonIndentedParts } from '../../control/go-json.ts';
import { isReplicaUrl } from '../../config/paths.ts';
import { flag, level } from '../../flags/kinds.ts';
import { formatTableParts } from '../../text/table.ts';
import { formatSeconds } from '../../text/time.ts';
import { defineCommand } from '../shared/command.ts';
import type { Command } from '../shared/command.ts';
import { configFlags, oneArgument } from '../shared/config-flags.ts';
import { openTarget } from '../shared/target.ts';

const flags = {
  ...configFlags,
  level: { kind: level('LEVEL'), help: 'Lists this compaction level: 0-9 or "all".\nDefaults to 0.' },
  json: { kind: flag(), help: 'Prints JSON in place of a table.' },
  'created-at': {
    kind: flag(),
    help: 'Adds the time of the earliest transaction in each file.\nReads the start of every file.',
  },
};

export const command: Command = defineCommand({
  name: 'ltx',
  help: {
    about: 'Lists the LTX files of a replica.',
    usage: ['ltx [arguments] DB_PATH', 'ltx [arguments] REPLICA_URL'],
    examples: [
      { about: 'Files of a database in the config.', line: 'ltx /path/to/db' },
      { about: 'Files of a replica.', line: 'ltx s3://mybkt/db' },
      { about: 'The snapshots of a replica.', line: 'ltx -level 9 s3://mybkt/db' },
      { about: 'The files of all levels.', line: 'ltx -level all s3://mybkt/db' },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    const target = oneArgument(args, 'database path or replica URL required', 'litestream ltx /path/to/db');
    await using opened = await openTarget(target, values, terminal);
    const levels =
      values.level === 'all' ? Array.from({ length: SNAPSHOT_LEVEL + 1 }, (_, each) => each) : [values.level];
    const withTimes = values['created-at'];
    // A replica may have hundreds of thousands of files: only their infos are kept, and rows are made while they are printed.
    const files: LtxFileInfo[] = [];
    for (const each of levels) {
      const listed = await Array.fromAsync(opened.client.ltxFiles(each));
      for (const file of withTimes ? await withCreatedAt(opened.client, listed) : listed) files.push(file);
    }
    if (values.json) {
      for (const part of goJsonIndentedParts(jsonRows(files, withTimes))) terminal.out(part);
      return 0;
    }
    for (const part of formatTableParts(() => tableRows(files, withTimes))) terminal.out(part);
    if (files.length === 0 && terminal.stderrIsTty) {
      terminal.err(
        `No files on ${values.level === 'all' ? 'any level' : `level ${values.level}`} of ${isReplicaUrl(target) ? 'this replica' : target}`,
      );
    }
    return 0;
  },
});

function* jsonRows(files: readonly LtxFileInfo[], withTimes: boolean): Generator<object> {
  for (const { level: at, minTxid, maxTxid, size, timestamp, createdAt } of files) {
    yield {
      level: at,
      min_txid: formatTxid(minTxid),
      max_txid: formatTxid(maxTxid),
      size,
      timestamp: formatSeconds(timestamp),
      ...(withTimes && createdAt !== undefined ? { created_at: formatSeconds(createdAt) } : {}),
    };
  }
}

function* tableRows(files: readonly LtxFileInfo[], withTimes: boolean): Generator<(string | number)[]> {
  // As in Litestream (Go), `created` is the time of the last transaction.
  const head = ['level', 'min_txid', 'max_txid', 'size', 'created'];
  yield withTimes ? head.concat('earliest') : head;
  for (const { level: at, minTxid, maxTxid, size, timestamp, createdAt } of files) {
    const row = [at, formatTxid(minTxid), formatTxid(maxTxid), size, formatSeconds(timestamp)];
    if (withTimes) row.push(createdAt === undefined ? '-' : formatSeconds(createdAt));
    yield row;
  }
}
