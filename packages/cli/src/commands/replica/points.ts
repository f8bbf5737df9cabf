import { listRestorePoints } from '@litestream/core';
import type { RestorePoint } from '@litestream/core';
import { formatTxid } from '@litestream/ltx';
import { goJsonIndentedParts } from '../../control/go-json.ts';
import { flag } from '../../flags/kinds.ts';
import { formatTableParts } from '../../text/table.ts';
import { formatWithOffset } from '../../units/point-in-time.ts';
import { defineCommand } from '../shared/command.ts';
import type { Command } from '../shared/command.ts';
import { configFlags, oneArgument } from '../shared/config-flags.ts';
import { openTarget } from '../shared/target.ts';

const flags = {
  ...configFlags,
  all: {
    kind: flag(),
    help: 'Prints each restore point on its own line.\nDefaults to one line for consecutive points of the same level and snapshot.',
  },
  json: { kind: flag(), help: 'Prints JSON in place of a table.' },
};

export const command: Command = defineCommand({
  name: 'points',
  help: {
    about: 'Lists the points in time to which a database can be restored, newest first.',
    usage: ['points [arguments] DB_PATH', 'points [arguments] REPLICA_URL'],
    examples: [
      { about: 'Restore points of a database in the config.', line: 'points /path/to/db' },
      { about: 'Restore points of a replica.', line: 'points s3://mybkt/db' },
      { about: 'Each of them, as JSON.', line: 'points -all -json s3://mybkt/db' },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    const target = oneArgument(args, 'database path or replica URL required', 'litestream points /path/to/db');
    await using opened = await openTarget(target, values, terminal);
    const points = await listRestorePoints(opened.client);
    const rows = values.all ? points.map((point) => ({ first: point, last: point, count: 1 })) : folded(points);
    rows.reverse();
    const parts = values.json ? goJsonIndentedParts(jsonRows(rows)) : formatTableParts(() => tableRows(rows));
    for (const part of parts) terminal.out(part);
    return 0;
  },
});

/** Consecutive points whose last file has the same level, and whose restore begins with the same snapshot. */
interface Run {
  readonly first: RestorePoint;
  readonly last: RestorePoint;
  readonly count: number;
}

function folded(points: readonly RestorePoint[]): Run[] {
  const runs: Run[] = [];
  for (const point of points) {
    const run = runs.at(-1);
    if (run !== undefined && kindOf(run.last) === kindOf(point)) {
      runs[runs.length - 1] = { first: run.first, last: point, count: run.count + 1 };
    } else {
      runs.push({ first: point, last: point, count: 1 });
    }
  }
  return runs;
}

function kindOf(point: RestorePoint): string {
  return point.format === 'v0.3' ? point.generation : `${point.level} ${point.snapshotTxid}`;
}

function* jsonRows(runs: readonly Run[]): Generator<object> {
  for (const { first, last, count } of runs) {
    yield { count, newest: jsonPoint(last), oldest: jsonPoint(first), ...jsonKind(last) };
  }
}

function jsonPoint(point: RestorePoint): object {
  return {
    timestamp: point.timestamp.toISOString(),
    ...(point.format === 'ltx' ? { txid: formatTxid(point.txid) } : {}),
  };
}

function jsonKind(point: RestorePoint): object {
  return point.format === 'v0.3'
    ? { format: point.format, generation: point.generation }
    : { format: point.format, level: point.level, snapshot_txid: formatTxid(point.snapshotTxid) };
}

function* tableRows(runs: readonly Run[]): Generator<(string | number)[]> {
  yield ['newest', 'utc', 'txid', 'oldest', 'points', 'level', 'restored from'];
  for (const { first, last, count } of runs) {
    const { timestamp } = last;
    const utc = `${timestamp.toISOString().slice(0, 19)}Z`;
    const oldest = count === 1 ? '-' : formatWithOffset(first.timestamp);
    const ends =
      last.format === 'v0.3' ? ['-', oldest, count, 'v0.3'] : [formatTxid(last.txid), oldest, count, last.level];
    yield [formatWithOffset(timestamp), utc, ...ends, beginning(last)];
  }
}

/** What a restore of this point reads first. */
function beginning(point: RestorePoint): string {
  if (point.format === 'v0.3') return `generation ${point.generation}`;
  if (point.snapshotTxid === 0n) return 'the first transaction';
  return point.level === 9 ? 'itself, a snapshot' : `snapshot ${formatTxid(point.snapshotTxid)}`;
}
