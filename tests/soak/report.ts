/** What the run showed, and which of its bounds did not hold. */
import type { Proof } from './probe.ts';
import type { Sample } from './samples.ts';
import { countsMax, memorySizeMax, walSizeMax, windowSeconds } from './settings.ts';

export interface Run {
  readonly durationMs: number;
  readonly commitCount: number;
  readonly txidMax: bigint;
  readonly samples: readonly Sample[];
  readonly byTxid: readonly Proof[];
  readonly byTimestamp: readonly Proof[];
  readonly log: string;
}

const MIB = 1 << 20;

/** Every bound that was broken, in words; none is success. */
export function brokenBounds(run: Run): readonly string[] {
  const broken: string[] = [];
  const { samples } = run;
  for (const [level, countMax] of countsMax().entries()) {
    const count = maxOf(samples.map(({ levelCounts }) => levelCounts[level] ?? 0));
    if (count > countMax) broken.push(`level ${level} had ${count} files, ${countMax} were allowed`);
  }
  const walSize = maxOf(samples.map((sample) => sample.walSize));
  if (walSize > walSizeMax) broken.push(`the WAL grew to ${walSize} bytes, ${walSizeMax} were allowed`);
  const memorySize = maxOf(samples.map((sample) => sample.memorySize));
  if (memorySize > memorySizeMax) broken.push(`litestream took ${memorySize} bytes, ${memorySizeMax} were allowed`);
  broken.push(...growth(run));
  const errors = linesOf(run.log, 'ERROR');
  if (errors.length > 0) broken.push(`${errors.length} ERROR lines: ${errors.slice(0, 3).join(' | ')}`);
  return broken;
}

/** Once the first files have expired nothing grows any more. Not judged before twice that time. */
function growth({ samples, durationMs }: Run): readonly string[] {
  const settledMs = 1000 * windowSeconds;
  if (durationMs < 3 * settledMs) return [];
  const middleMs = (settledMs + durationMs) / 2;
  const early = samples.filter(({ atMs }) => atMs >= settledMs && atMs < middleMs);
  const late = samples.filter(({ atMs }) => atMs >= middleMs);
  const broken: string[] = [];
  for (const [name, of, factor] of [
    ['replica size', (sample: Sample) => sample.replicaSize, 1.25],
    ['number of files', (sample: Sample) => sample.replicaCount, 1.25],
    ['number of local files', (sample: Sample) => sample.localCount, 1.25],
    ['memory', (sample: Sample) => sample.memorySize, 1.3],
  ] as const) {
    const before = middleOf(early.map(of));
    const after = middleOf(late.map(of));
    if (after > factor * before) broken.push(`${name} grew: its median went from ${before} to ${after}`);
  }
  return broken;
}

export function figures(run: Run): string {
  const { samples, byTxid, byTimestamp } = run;
  const proofs = [...byTxid, ...byTimestamp];
  const seconds = run.durationMs / 1000;
  const count = (of: (sample: Sample) => number): string => `${middleOf(samples.map(of))} / ${maxOf(samples.map(of))}`;
  const size = (of: (sample: Sample) => number): string =>
    `${(middleOf(samples.map(of)) / MIB).toFixed(1)} / ${(maxOf(samples.map(of)) / MIB).toFixed(1)} MiB`;
  const rows: [string, string][] = [
    ['duration', `${(seconds / 60).toFixed(1)} min`],
    ['commits', `${run.commitCount} (${(run.commitCount / seconds).toFixed(0)} a second)`],
    ['level-0 files uploaded', String(run.txidMax)],
    ['restores by TXID, proven', String(byTxid.length)],
    ['restores by timestamp, proven', String(byTimestamp.length)],
    ['age of the restored state, median / oldest', ages(proofs)],
    ['duration of a restore (process and all), median / longest', durations(proofs)],
    ['replica size, median / largest', size((sample) => sample.replicaSize)],
    ['files on the replica, median / most', count((sample) => sample.replicaCount)],
    ...[0, 1, 2, 3, 9].map((level): [string, string] => [
      `files of level ${level}, median / most`,
      count((sample) => sample.levelCounts[level] ?? 0),
    ]),
    ['local files, median / most', count((sample) => sample.localCount)],
    ['WAL, median / largest', size((sample) => sample.walSize)],
    ['resident memory of litestream, median / most', size((sample) => sample.memorySize)],
    ...['compaction complete', 'snapshot complete', 'l0 retention enforced'].map((line): [string, string] => [
      `"${line}" lines`,
      String(run.log.split('\n').filter((each) => each.includes(line)).length),
    ]),
    ['WARN lines', String(linesOf(run.log, 'WARN').length)],
    ['ERROR lines', String(linesOf(run.log, 'ERROR').length)],
  ];
  return ['| figure | value |', '| --- | --- |', ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join('\n');
}

export function linesOf(log: string, level: string): readonly string[] {
  return log.split('\n').filter((line) => line.includes(`level=${level}`));
}

function ages(proofs: readonly Proof[]): string {
  const values = proofs.map(({ ageMs }) => ageMs / 1000);
  return `${middleOf(values).toFixed(0)} / ${maxOf(values).toFixed(0)} s`;
}

function durations(proofs: readonly Proof[]): string {
  const values = proofs.map(({ durationMs }) => durationMs);
  return `${middleOf(values).toFixed(0)} / ${maxOf(values).toFixed(0)} ms`;
}

function middleOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

function maxOf(values: readonly number[]): number {
  return values.reduce((max, value) => Math.max(max, value), 0);
}
