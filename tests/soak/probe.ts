/** One random moment of the past, restored by the command line and proven. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tail } from '../support/child.ts';
import { fileUrl } from '../support/programs.ts';
import type { Program } from '../support/programs.ts';
import type { Random } from '../support/random.ts';
import { headerTimestampMs, replicaFiles } from '../support/replica-folder.ts';
import { until } from '../support/wait.ts';
import type { CommitLogReader, CommitRecord } from './commit-log.ts';
import { restorableEnds } from './restorable.ts';
import { verifyRing } from './ring.ts';
import type { Timeline } from './samples.ts';

export interface ProbeContext {
  readonly program: Program;
  readonly replica: string;
  readonly folder: string;
  readonly commits: CommitLogReader;
  readonly timeline: Timeline;
  readonly random: Random;
}

export interface Proof {
  readonly target: string;
  /** Number of the last transaction that the restored database holds. */
  readonly txn: number;
  /** How far back that was. */
  readonly ageMs: number;
  readonly durationMs: number;
}

const ATTEMPT_COUNT_MAX = 5;

interface Promised {
  readonly minTxid: bigint;
  readonly maxTxid: bigint;
  readonly timeMs: number;
}

/** A random TXID among the ends of kept files. */
export async function probeTxid(context: ProbeContext): Promise<Proof> {
  return await attempts(async () => {
    const txid = context.random.pick(restorableEnds(await promises(context)));
    const restored = await restore(context, ['-txid', txid.toString(16).padStart(16, '0')]);
    if (restored === undefined) {
      // Compaction or retention may have taken the boundary away meanwhile; if not, the promise is broken.
      return restorableEnds(await promises(context)).includes(txid) ? `TXID ${txid} is kept, but` : undefined;
    }
    return prove(context, `TXID ${txid}`, restored, { txid, notAfterMs: context.timeline.timeMs(txid) });
  });
}

/** A random time since the oldest snapshot. */
export async function probeTimestamp(context: ProbeContext): Promise<Proof> {
  return await attempts(async () => {
    const before = await promises(context);
    const oldestMs = Math.min(...before.filter((file) => file.minTxid === 1n).map((file) => file.timeMs));
    const timeMs = context.random.between(oldestMs, Date.now() - 1000);
    const timestamp = new Date(timeMs).toISOString();
    const restored = await restore(context, ['-timestamp', timestamp]);
    const after = await promises(context);
    // Boundaries only ever go away: what is promised before and after is promised while it restores.
    const kept = restorableEnds(before.filter((file) => file.timeMs <= timeMs)).filter((end) =>
      restorableEnds(after.filter((file) => file.timeMs <= timeMs)).includes(end),
    );
    const txid = kept.at(-1);
    if (restored === undefined) return txid === undefined ? undefined : `time ${timestamp} is kept, but`;
    return prove(context, timestamp, restored, { txid, notAfterMs: timeMs });
  });
}

async function attempts(attempt: () => Promise<Proof | string | undefined>): Promise<Proof> {
  for (let count = 1; count <= ATTEMPT_COUNT_MAX; count += 1) {
    const outcome = await attempt();
    if (typeof outcome === 'string') throw new Error(`${outcome} the restore failed`);
    if (outcome !== undefined) return outcome;
  }
  throw new Error(`${ATTEMPT_COUNT_MAX} random targets in a row were gone before they were restored`);
}

async function promises({ replica }: ProbeContext): Promise<Promised[]> {
  const files: Promised[] = [];
  for (const { minTxid, maxTxid, path } of await replicaFiles(replica)) {
    const timeMs = await headerTimestampMs(path).catch(() => undefined); // Deleted since it was listed.
    if (timeMs !== undefined) files.push({ minTxid, maxTxid, timeMs });
  }
  return files;
}

interface Restored {
  readonly path: string;
  readonly durationMs: number;
}

/** Undefined if the target is not there (any more); throws for every other failure. */
async function restore(
  { program, replica, folder }: ProbeContext,
  point: readonly string[],
): Promise<Restored | undefined> {
  const path = join(folder, 'restored.db');
  await rm(path, { force: true });
  const startMs = performance.now();
  const child = program.start('restore', '-o', path, ...point, fileUrl(replica));
  const { code } = await child.exited;
  if (code === 0) return { path, durationMs: performance.now() - startMs };
  if (/OUT_OF_RANGE|not in the replica|cannot be restored by itself/.test(child.output)) return undefined;
  throw new Error(`restore ${point.join(' ')} failed (${code}):\n${tail(child.output)}`);
}

/** The copy is sound, its hash is the recorded one, and it holds what it must and nothing from after its target. */
async function prove(
  context: ProbeContext,
  target: string,
  restored: Restored,
  expected: { readonly txid: bigint | undefined; readonly notAfterMs: number | undefined },
): Promise<Proof> {
  const { commits, timeline } = context;
  const state = verifyRing(restored.path);
  const record = await recordOf(commits, state.txn);
  if (record !== undefined && record.hash !== state.hash) {
    throw new Error(`${target}: the hash after transaction ${state.txn} is ${state.hash}, recorded is ${record.hash}`);
  }
  if (record !== undefined && expected.notAfterMs !== undefined && record.begunAtMs > expected.notAfterMs) {
    throw new Error(
      `${target} holds transaction ${state.txn}, which began at ${new Date(record.begunAtMs).toISOString()}`,
    );
  }
  // What was committed before the file before it was stamped had been read by then.
  const previousMs = expected.txid === undefined ? undefined : timeline.timeMs(expected.txid - 1n);
  if (previousMs !== undefined) {
    const next = commits.get(state.txn + 1);
    if (next !== undefined && next.doneAtMs < previousMs) {
      throw new Error(`${target} lacks transaction ${next.txn}, done at ${new Date(next.doneAtMs).toISOString()}`);
    }
  }
  const ageMs = record === undefined ? 0 : Date.now() - record.doneAtMs;
  return { target, txn: state.txn, ageMs, durationMs: restored.durationMs };
}

/** The writer records a commit just after it: the newest may be some milliseconds late. */
async function recordOf(commits: CommitLogReader, txn: number): Promise<CommitRecord | undefined> {
  return txn === 0 ? undefined : await until(`the record of transaction ${txn}`, () => commits.get(txn));
}
