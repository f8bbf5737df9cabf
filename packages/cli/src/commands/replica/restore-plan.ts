/** Prints what a restore would fetch. */
import { LitestreamError, hasCode, planRestore } from '@litestream/core';
import type { Logger, LtxFileInfo, ReplicaClient } from '@litestream/core';
import { formatTxid } from '@litestream/ltx';
import { goJsonIndented } from '../../control/go-json.ts';
import { isReplicaUrl } from '../../config/paths.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import { fileRow } from '../../text/file-row.ts';
import { formatTableParts } from '../../text/table.ts';
import { plainLogger } from '../shared/configured-logger.ts';
import type { Target } from '../shared/target.ts';
import type { RestoreValues } from './restore-flags.ts';

/** A backup of v0.3 has no plan that could be shown, but it is there: that is not "no backups". */
async function planOf(client: ReplicaClient, values: RestoreValues, logger: Logger): Promise<readonly LtxFileInfo[]> {
  try {
    return await planRestore(client, { txid: values.txid || undefined, timestamp: values.timestamp, logger });
  } catch (error) {
    if (!hasCode(error, 'REPLICA_EMPTY') || values.txid !== undefined || !(await holdsV3(client))) throw error;
    throw new LitestreamError('no matching backup files available: the backup on the replica is one of v0.3', {
      code: 'UNSUPPORTED',
      operation: 'restore',
      hint: 'A dry run lists LTX files only: restore it without -dry-run.',
      cause: error,
    });
  }
}

async function holdsV3({ objects }: ReplicaClient): Promise<boolean> {
  try {
    const listing = objects?.list('generations/')[Symbol.asyncIterator]();
    const first = await listing?.next();
    await listing?.return?.();
    return first?.done === false;
  } catch (error) {
    if (!hasCode(error, 'UNSUPPORTED')) throw error;
    return false;
  }
}

export async function printPlan(
  source: string,
  output: string,
  { client, text }: Target,
  values: RestoreValues,
  terminal: Terminal,
): Promise<void> {
  // The plan is all that goes to standard output.
  const files = await planOf(client, values, plainLogger(terminal, true));
  const first = formatTxid(files[0]?.minTxid ?? 0n);
  const last = formatTxid(files.at(-1)?.maxTxid ?? 0n);
  const shown = isReplicaUrl(source) ? text : source;
  if (values.json) {
    const plan = {
      source: shown,
      target_path: output,
      replica: client.type,
      min_txid: first,
      max_txid: last,
      files: files.map(fileRow),
    };
    terminal.out(goJsonIndented(plan));
    return;
  }
  terminal.out('Restore plan:\n');
  terminal.out(`  source: ${shown}\n  target: ${output}\n  replica: ${client.type}\n`);
  terminal.out(`  txid range: ${first} - ${last}\n\nFiles to fetch:\n`);
  for (const part of formatTableParts(() => planRows(files))) terminal.out(part);
}

function* planRows(files: readonly LtxFileInfo[]): Generator<(string | number)[]> {
  yield ['level', 'file', 'min_txid', 'max_txid', 'size', 'timestamp'];
  for (const file of files) yield Object.values(fileRow(file));
}
