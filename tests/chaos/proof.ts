/** Restores a replica and verifies it, in this process or by the command line, which takes longer. */
import { s3 } from '@litestream/client-s3';
import { PluginRegistry, restore, verifyReplica } from '@litestream/core';
import type { ReplicaClient } from '@litestream/core';
import { runCommand } from './replication.ts';
import type { ReplicaSettings } from './store.ts';

const registry = new PluginRegistry({ plugins: [s3()], discover: false });

async function open({ type, ...settings }: ReplicaSettings): Promise<ReplicaClient> {
  return await registry.createClient({ type, settings }, { env: {} });
}

/**
 * Fails unless the restored database has the checksum that the replica states.
 * @param hadLostLedger the replica may state none until Litestream has read every page
 */
export async function restoreProven(replica: ReplicaSettings, output: string, hadLostLedger: boolean): Promise<void> {
  await using client = await open(replica);
  await restore(client, { output, proof: hadLostLedger ? 'checked' : 'required' });
}

/**
 * Throws for a fault anywhere in the replica.
 * @param hadTwoWriters compacted files of two processes may overlap (docs/known-issues.md)
 */
export async function verifyWhole(replica: ReplicaSettings, hadTwoWriters: boolean): Promise<void> {
  await using client = await open(replica);
  const { faults, newest } = await verifyReplica(client);
  const counting = faults.filter(({ kind, level }) => !(hadTwoWriters && level > 0 && kind === 'overlap'));
  const said = counting.map(({ kind, message }) => `${kind}: ${message}`);
  if (newest === undefined) said.push('nothing can be restored');
  if (said.length > 0) throw new Error(`the replica has faults:\n${said.join('\n')}`);
}

/** The same as a user does it. */
export async function proveByCommands(
  { config, database, output }: { readonly config: string; readonly database: string; readonly output: string },
  { hadTwoWriters, hadLostLedger }: { readonly hadTwoWriters: boolean; readonly hadLostLedger: boolean },
): Promise<void> {
  const proof = hadLostLedger ? 'checked' : 'required';
  await runCommand('restore', '-config', config, '-proof', proof, '-o', output, database).done();
  if (!hadTwoWriters) await runCommand('verify', '-config', config, database).done();
}
