import { verifyReplica } from '@litestream/core';
import type { VerifyReport } from '@litestream/core';
import { formatTxid } from '@litestream/ltx';
import { goJsonIndented } from '../../control/go-json.ts';
import { UsageError } from '../../util/usage-error.ts';
import { flag } from '../../flags/kinds.ts';
import { plainLogger } from '../shared/configured-logger.ts';
import { Progress } from '../../terminal/progress.ts';
import { formatTable } from '../../text/table.ts';
import { formatSeconds } from '../../text/time.ts';
import { formatSize } from '../../units/size.ts';
import { defineCommand } from '../shared/command.ts';
import type { Command } from '../shared/command.ts';
import { configFlags, oneArgument } from '../shared/config-flags.ts';
import { databaseArgument, socketFlags } from '../shared/socket-flags.ts';
import { openTarget } from '../shared/target.ts';
import { verifyLiveDatabase } from './verify-live.ts';

const flags = {
  ...configFlags,
  json: { kind: flag(), help: 'Prints JSON in place of text.' },
  live: {
    kind: flag(),
    help: 'Makes the running daemon compare all pages of the live database with its replicas, instead of reading the files of one replica.',
  },
  repair: {
    kind: flag(),
    help: 'With -live: replicates pages that differ, checks every file of the replicas, and takes a snapshot if a fault prevents a restore.',
  },
  socket: socketFlags(0).socket,
};

export const command: Command = defineCommand({
  name: 'verify',
  help: {
    about:
      'Proves a replica: reads every file, compares the database checksums that the files state with each other, and computes the checksum of the newest state. Writes nothing, and may run while a daemon runs. Exits with 1 if it finds a fault, or if there is nothing to restore.',
    usage: [
      'verify [arguments] DB_PATH',
      'verify [arguments] REPLICA_URL',
      'verify -live [-repair] [arguments] DB_PATH',
    ],
    notes:
      'A state is proven if it has the database checksum that its last file states. Files of Litestream (Go) state no checksum. A state that ends with such a file is unproven, which is not a fault.',
    examples: [
      { about: 'The replica of a database in the config.', line: 'verify /path/to/db' },
      { about: 'A replica URL, for a script.', line: 'verify -json s3://mybkt/db' },
      { about: 'The live database against its replicas.', line: 'verify -live /path/to/db' },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    const { json, live, repair, socket } = values;
    if (live) {
      const path = databaseArgument(args, 'litestream verify -live /path/to/db');
      return await verifyLiveDatabase({ path, socket, repair, json }, terminal);
    }
    if (repair) throw new UsageError('-repair needs -live: only a daemon that replicates the database can repair');
    const target = oneArgument(args, 'database path or replica URL required', 'litestream verify s3://bucket/prefix');
    await using opened = await openTarget(target, values, terminal);
    const logger = plainLogger(terminal, values.json);
    const progress = new Progress({ terminal, logger, name: 'verify' });
    let report: VerifyReport;
    try {
      report = await verifyReplica(opened.client, {
        onProgress: ({ bytesDone, bytesTotal }) => progress.update('check', bytesDone, bytesTotal),
      });
    } finally {
      progress.clear();
    }
    terminal.out(values.json ? goJsonIndented(summaryOf(opened.text, report)) : textOf(report));
    return isWhole(report) ? 0 : 1;
  },
});

/** A replica from which nothing can be restored is not proven. */
function isWhole({ faults, newest }: Pick<VerifyReport, 'faults' | 'newest'>): boolean {
  return faults.length === 0 && newest !== undefined;
}

function summaryOf(replica: string, { levels, faults, newest, proven }: VerifyReport): object {
  return {
    replica,
    ok: isWhole({ faults, newest }),
    proven,
    txid: newest === undefined ? '' : formatTxid(newest.txid),
    timestamp: newest === undefined ? '' : newest.timestamp.toISOString(),
    levels,
    faults: faults.map(({ kind, level, file = '', message }) => ({ kind, level, file, message })),
  };
}

function textOf({ levels, faults, newest, proven }: VerifyReport): string {
  const rows = levels.map(({ level, files, size }) => [level, files, formatSize(size)]);
  const table =
    rows.length === 0 ? 'The replica holds no files.\n' : formatTable([['level', 'files', 'size'], ...rows]);
  const lines = faults.map(({ kind, message }) => `${kind}: ${message}\n`).join('');
  if (newest === undefined) return `${table}${lines}`;
  const state = `transaction ${formatTxid(newest.txid)} of ${formatSeconds(newest.timestamp)}`;
  const verdict =
    faults.length > 0
      ? 'Faults were found.'
      : proven
        ? `Proven up to ${state}.`
        : `Unproven, without faults: ${state}.`;
  return `${table}${lines}${verdict}\n`;
}
