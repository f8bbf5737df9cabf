/** What both programs must agree on about one replica. */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { verifyChain } from '../support/chain.ts';
import { assertSamePages } from '../support/pages.ts';
import type { RestorePoint } from '../support/programs.ts';
import { headerTimestampMs, replicaFiles } from '../support/replica-folder.ts';
import type { InteropContext } from './case.ts';

let restoreCount = 0;

/** Restores by both, compares page by page (with the source too if given), proves the content. Gives its facts. */
export async function compareRestores(
  context: InteropContext,
  replica: string,
  options: { source?: string; point?: RestorePoint } = {},
): Promise<{ transactionCount: number }> {
  const { outputs, refusals } = await restoreByBoth(context, replica, options.point ?? {});
  if (refusals.length > 0) throw new Error(refusals.join('\n'));
  await assertSamePages(outputs.go, outputs.ts, 'restored by Go and by ours');
  if (options.source !== undefined) await assertSamePages(options.source, outputs.ts, 'source and restored');
  return verifyChain(outputs.ts);
}

interface RestoredByBoth {
  readonly outputs: { readonly go: string; readonly ts: string };
  /** What those that refused said. */
  readonly refusals: readonly string[];
}

async function restoreByBoth(context: InteropContext, replica: string, point: RestorePoint): Promise<RestoredByBoth> {
  restoreCount += 1;
  const outputs = {
    go: join(context.folder, `restored-${restoreCount}-go.db`),
    ts: join(context.folder, `restored-${restoreCount}-ts.db`),
  };
  const refusals: string[] = [];
  for (const name of ['go', 'ts'] as const) {
    await context[name].restore(replica, outputs[name], point).catch((error: unknown) => refusals.push(String(error)));
  }
  return { outputs, refusals };
}

/** Prints the listing of both, as text and as JSON; they must be the same to the byte. */
export async function compareListings(context: InteropContext, replica: string): Promise<number> {
  const { go, ts } = context;
  let fileCount = 0;
  for (const flags of [[], ['-json']]) {
    const [expected, actual] = [await go.ltx(replica, ...flags), await ts.ltx(replica, ...flags)];
    if (expected !== actual) {
      throw new Error(`ltx ${flags.join(' ')} differs\n--- Go\n${expected}\n--- ours\n${actual}`);
    }
    fileCount = expected.trimEnd().split('\n').length - 1;
  }
  return fileCount;
}

/**
 * Restores at up to `countMax` TXIDs and as many times by both: the same database, or a refusal by both. Times lie half
 * a millisecond after a file: whether a file of exactly that time belongs to it, the programs see differently.
 */
export async function comparePoints(context: InteropContext, replica: string, countMax: number): Promise<string> {
  const files = await replicaFiles(replica);
  const txids = [...new Set(files.map((file) => file.maxTxid))].sort((a, b) => (a < b ? -1 : 1));
  const times = [...new Set(await Promise.all(files.map((file) => headerTimestampMs(file.path))))].sort(
    (a, b) => a - b,
  );
  const points: RestorePoint[] = [
    ...sample(txids, countMax).map((txid) => ({ txid })),
    ...sample(times.slice(0, -1), countMax).map((time) => {
      return { timestamp: new Date(time).toISOString().replace('Z', '5Z') };
    }),
    { txid: (txids.at(-1) ?? 0n) + 1n },
    { timestamp: new Date((times[0] ?? 0) - 1000).toISOString() },
  ];
  let refusedCount = 0;
  for (const point of points) {
    const { outputs, refusals } = await restoreByBoth(context, replica, point);
    if (refusals.length === 1) {
      throw new Error(`only one refuses txid ${point.txid} timestamp ${point.timestamp}: ${refusals.join()}`);
    }
    if (refusals.length === 2) refusedCount += 1;
    else {
      await assertSamePages(outputs.go, outputs.ts, `txid ${point.txid} timestamp ${point.timestamp}`);
      verifyChain(outputs.ts);
    }
  }
  return `${points.length - refusedCount} points equal, ${refusedCount} refused by both`;
}

/** A copy of the replica as it is now, times included: what two programs read must not change between them. */
export async function frozen(context: InteropContext, replica: string): Promise<string> {
  restoreCount += 1;
  const copy = join(context.folder, `replica-${restoreCount}`);
  await cp(replica, copy, { recursive: true, preserveTimestamps: true, filter: (path) => !path.endsWith('.tmp') });
  return copy;
}

/** Up to `countMax` of the values, first and last among them. */
function sample<T>(values: readonly T[], countMax: number): T[] {
  if (values.length <= countMax) return [...values];
  return Array.from(
    { length: countMax },
    (_, i) => values[Math.round((i * (values.length - 1)) / (countMax - 1))] as T,
  );
}
