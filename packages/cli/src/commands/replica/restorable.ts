/** Lists what the replicas of a config hold, as help for a restore command without a database. */
import { existsSync } from 'node:fs';
import { SNAPSHOT_LEVEL } from '@litestream/core';
import type { LtxFileInfo, ReplicaClient } from '@litestream/core';
import { formatTxid } from '@litestream/ltx';
import { defaultConfigPath } from '../../config/paths.ts';
import { messageWithCauses } from '../../util/describe-error.ts';
import { openRegistry, openReplicas } from '../../databases/replicas.ts';
import { formatTable } from '../../text/table.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import { formatSeconds } from '../../text/time.ts';
import { readConfig } from '../shared/config-flags.ts';
import type { ConfigFlagValues } from '../shared/config-flags.ts';

/** The list does not wait longer than this for replicas that do not answer. */
const WAIT_MS = 5000;
const DATABASE_COUNT_MAX = 50;

/**
 * A table of the databases of the config with the oldest and newest restore point of each. Undefined without a config
 * file or without databases.
 */
export async function restorable(values: ConfigFlagValues, terminal: Terminal): Promise<string | undefined> {
  if (!existsSync(values.config ?? defaultConfigPath())) return undefined;
  const config = await readConfig(values, terminal, () => undefined);
  const { allDatabasesOf } = await import('../../databases/directory.ts');
  const databases = allDatabasesOf(config.databases);
  const registry = await openRegistry(config);
  const signal = AbortSignal.timeout(WAIT_MS);
  const rows = await Promise.all(
    databases.slice(0, DATABASE_COUNT_MAX).map(async ({ path, replicas }) => {
      try {
        await using opened = await openReplicas(replicas.slice(0, 1), registry, path);
        const [replica] = opened.all;
        if (replica === undefined) return [path, '-', 'no replica'];
        return [path, replica.text, await spanOf(replica.client, signal)];
      } catch (error) {
        return [path, '-', messageWithCauses(error)];
      }
    }),
  );
  if (rows.length === 0) return undefined;
  const more = databases.length - rows.length;
  const rest = more > 0 ? `and ${more} more databases\n` : '';
  return `What could be restored:\n${formatTable([['database', 'replica', 'holds'], ...rows])}${rest}`.trimEnd();
}

/** TXID and time of the oldest and the newest restore point. */
async function spanOf(client: ReplicaClient, signal: AbortSignal): Promise<string> {
  let oldest: LtxFileInfo | undefined;
  let newest: LtxFileInfo | undefined;
  for (let level = 0; level <= SNAPSHOT_LEVEL; level += 1) {
    for await (const file of client.ltxFiles(level, { signal })) {
      if (file.minTxid === 1n && (oldest === undefined || file.maxTxid < oldest.maxTxid)) oldest = file;
      if (newest === undefined || file.maxTxid > newest.maxTxid) newest = file;
    }
  }
  if (oldest === undefined || newest === undefined) return 'no backups';
  const ends = [oldest, newest].map((file) => `${formatTxid(file.maxTxid)} (${formatSeconds(file.timestamp)})`);
  return ends.join(' to ');
}
