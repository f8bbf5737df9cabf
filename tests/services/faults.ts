/**
 * What a bad line does to replication: a writer commits without a pause, `litestream replicate` reaches the server
 * through Toxiproxy, the fault comes and goes. Then every transaction must be on the replica, once, and the process must
 * be the one that was started.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { verifyChain } from '../support/chain.ts';
import { Child } from '../support/child.ts';
import { ourProgram } from '../support/programs.ts';
import { lastProgress, startWriter } from '../support/start-writer.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { pause, until } from '../support/wait.ts';
import { createClient, replicaConfig } from './clients.ts';
import type { RunningService } from './service.ts';
import { type Toxic, Toxiproxy, portOf, through } from './toxiproxy.ts';

export interface FaultResult {
  readonly name: string;
  /** What was done to the connection. */
  readonly what: string;
  /** Transactions the writer committed, all of them restored. */
  readonly transactions: number;
  /** From the end of the fault until the replica was level with a writer that went on. */
  readonly recoveredMs: number;
}

interface FaultCase {
  readonly name: string;
  readonly what: string;
  readonly inflict: (proxy: Toxiproxy) => Promise<void>;
  /** Must the log tell of it? */
  readonly logged?: boolean;
}

/** How long a server stays away, in seconds. A minute unless `FAULT_SECONDS` says otherwise. */
const unreachableSeconds = Number(process.env['FAULT_SECONDS'] ?? 60);
const BAD_MS = 5000;
const RECOVERY_MS_MAX = 90_000;

const CASES: readonly FaultCase[] = [
  {
    name: 'latency',
    what: `400 ± 200 ms each way for ${BAD_MS / 1000} s`,
    inflict: (proxy) =>
      poison(proxy, BAD_MS, [
        { type: 'latency', stream: 'upstream', attributes: { latency: 400, jitter: 200 } },
        { type: 'latency', stream: 'downstream', attributes: { latency: 400, jitter: 200 } },
      ]),
  },
  {
    name: 'bandwidth',
    what: `16 KB/s each way for ${BAD_MS / 1000} s`,
    inflict: (proxy) =>
      poison(proxy, BAD_MS, [
        { type: 'bandwidth', stream: 'upstream', attributes: { rate: 16 } },
        { type: 'bandwidth', stream: 'downstream', attributes: { rate: 16 } },
      ]),
  },
  {
    name: 'cut in mid-body',
    what: `every connection ends after 3,000 bytes for ${BAD_MS / 1000} s`,
    inflict: (proxy) =>
      poison(proxy, BAD_MS, [{ type: 'limit_data', stream: 'upstream', attributes: { bytes: 3000 } }]),
    logged: true,
  },
  {
    name: 'reset in mid-body',
    what: `every connection is reset after 20 ms for ${BAD_MS / 1000} s`,
    inflict: (proxy) =>
      poison(proxy, BAD_MS, [{ type: 'reset_peer', stream: 'upstream', attributes: { timeout: 20 } }]),
    logged: true,
  },
  {
    name: 'timeout',
    what: `nothing gets through, connections stay open, for ${BAD_MS / 1000} s`,
    inflict: (proxy) => poison(proxy, BAD_MS, [{ type: 'timeout', stream: 'upstream', attributes: { timeout: 0 } }]),
  },
  {
    name: 'unreachable',
    what: `connections refused for ${unreachableSeconds} s`,
    inflict: async (proxy) => {
      await proxy.reachable(false);
      await pause(unreachableSeconds * 1000, 'the fault lasts');
      await proxy.reachable(true);
    },
    logged: true,
  },
];

/** Every fault on one server. Rejects with what was lost. */
export async function runFaults(running: RunningService): Promise<readonly FaultResult[]> {
  await using proxy = await Toxiproxy.start(portOf(running));
  const results: FaultResult[] = [];
  for (const fault of CASES) results.push(await runFault(fault, proxy, running));
  await restoreOverBrokenLine(proxy, running);
  return results;
}

async function runFault(fault: FaultCase, proxy: Toxiproxy, running: RunningService): Promise<FaultResult> {
  await using folder = await temporaryFolder('faults');
  const path = `faults-${fault.name.replaceAll(' ', '-')}`;
  const database = join(folder.path, 'app.db');
  const progress = join(folder.path, 'progress');
  const far = through(running, proxy.port);
  const config = await writeConfig(folder.path, database, { ...(await replicaConfig(far, path)) });
  await using writer = startWriter({ database, progress, seed: 1, calm: true, delayMs: 10 });
  await until('the writer', async () => (await lastProgress(progress)) > 0, { failed: endOf(writer) });
  await using daemon = start(far, 'replicate', '-config', config);
  await until('the first file', async () => (await lastTxid(running, path)) > 0n, { failed: endOf(daemon) });
  await fault.inflict(proxy);
  const endedAtMs = Date.now();
  // Level again while the writer goes on: what it had committed when the fault ended is there.
  const committed = await lastProgress(progress);
  const copy = await restored(running, folder.path, path, committed, endOf(daemon));
  const recoveredMs = Date.now() - endedAtMs;
  await writer.stop();
  const transactions = await lastProgress(progress);
  if (copy < transactions) await restored(running, folder.path, path, transactions, endOf(daemon));
  await assertNoDouble(running, path);
  assert.equal(daemon.exit, undefined, `${fault.name}: litestream ended:\n${daemon.output}`);
  if (fault.logged === true) assert.match(daemon.output, /level=(WARN|ERROR)/, `${fault.name}: nothing was logged`);
  await daemon.stop();
  return { name: fault.name, what: fault.what, transactions, recoveredMs };
}

/** A restore whose connections are slow and then die in the middle goes on where it was. */
async function restoreOverBrokenLine(proxy: Toxiproxy, running: RunningService): Promise<void> {
  await using folder = await temporaryFolder('faults-restore');
  const path = 'faults-latency';
  const far = through(running, proxy.port);
  const config = await writeConfig(folder.path, join(folder.path, 'app.db'), { ...(await replicaConfig(far, path)) });
  const widen = await proxy.add({ type: 'bandwidth', stream: 'downstream', attributes: { rate: 100 } });
  const output = join(folder.path, 'copy.db');
  await using child = start(far, 'restore', '-config', config, '-o', output, join(folder.path, 'app.db'));
  await pause(1500, 'the restore is in its midst');
  await proxy.reachable(false);
  await proxy.reachable(true);
  await widen();
  await child.done();
  assert.ok(verifyChain(output).transactionCount > 0, 'the restored copy is empty');
}

async function poison(proxy: Toxiproxy, ms: number, toxics: readonly Toxic[]): Promise<void> {
  const cures: (() => Promise<void>)[] = [];
  for (const toxic of toxics) cures.push(await proxy.add(toxic));
  await pause(ms, 'the fault lasts');
  for (const cure of cures) await cure();
}

function start(running: RunningService, ...args: readonly string[]): Child {
  const env = { ...process.env, ...running.env };
  return new Child(`litestream ${args[0]}`, process.execPath, [ourProgram, ...args], { env });
}

async function writeConfig(folder: string, database: string, replica: Record<string, unknown>): Promise<string> {
  const file = join(folder, 'litestream.yml');
  await writeFile(
    file,
    JSON.stringify({ dbs: [{ path: database, replica: { ...replica, 'sync-interval': '100ms' } }] }),
  );
  return file;
}

async function lastTxid(running: RunningService, path: string): Promise<bigint> {
  await using client = await createClient(running, path);
  await client.init();
  return (await Array.fromAsync(client.ltxFiles(0))).at(-1)?.maxTxid ?? 0n;
}

/** Restores, past the proxy, until the copy has so many transactions; gives how many it has. */
async function restored(
  running: RunningService,
  folder: string,
  path: string,
  count: number,
  failed: () => string | undefined,
): Promise<number> {
  const config = await writeConfig(folder, join(folder, 'app.db'), { ...(await replicaConfig(running, path)) });
  let number = 0;
  return await until(
    `${count} transactions on the replica`,
    async () => {
      const output = join(folder, `copy-${count}-${number++}.db`);
      await using child = start(running, 'restore', '-config', config, '-o', output, join(folder, 'app.db'));
      await child.done();
      const found = verifyChain(output).transactionCount;
      return found >= count ? found : undefined;
    },
    { timeoutMs: RECOVERY_MS_MAX, intervalMs: 500, failed },
  );
}

/** Level 0 holds each TXID once, without a gap. */
async function assertNoDouble(running: RunningService, path: string): Promise<void> {
  await using client = await createClient(running, path);
  await client.init();
  const files = await Array.fromAsync(client.ltxFiles(0));
  for (const [index, { minTxid, maxTxid }] of files.entries()) {
    assert.equal(minTxid, maxTxid, `file ${minTxid}-${maxTxid} of level 0 holds more than one transaction`);
    const before = files[index - 1];
    if (before !== undefined) assert.equal(minTxid, before.maxTxid + 1n, `after ${before.maxTxid} comes ${minTxid}`);
  }
}

function endOf(child: Child): () => string | undefined {
  return () => (child.exit === undefined ? undefined : `${child.name} ended:\n${child.output}`);
}
