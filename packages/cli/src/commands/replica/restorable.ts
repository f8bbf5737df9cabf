/** What a config's replicas hold, for somebody who asked for a restore and did not say of what. */
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

/** A replica that does not answer must not keep the advice from anybody. */
const WAIT_MS = 5000;
const DATABASE_COUNT_MAX = 50;

/** A table of each database with what of it could be restored; undefined where there is no config to tell. */
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

/** The TXIDs and times from the oldest state that can be restored to the newest. */
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
