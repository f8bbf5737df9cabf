/** What a program costs from its start to its end. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Child } from '../../tests/support/child.ts';
import type { Row, Subject } from './case.ts';
import { cpuMsOfEndedChildren, memoryOf } from './proc.ts';

const run = promisify(execFile);

export interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
  /** Most memory, in bytes, as seen every 10 ms. */
  readonly rssMax: number;
}

const sampleIntervalMs = 10;
const timeoutMs = 300_000;

/** Runs a program to its end. Nothing else may be started or end meanwhile: CPU time is that of all ended children. */
export async function costOf(start: () => Child): Promise<Cost> {
  const cpuBeforeMs = cpuMsOfEndedChildren();
  const startedAt = performance.now();
  const child = start();
  let rssMax = 0;
  const timer = setInterval(() => {
    rssMax = Math.max(rssMax, memoryOf(child.pid)?.max ?? 0);
  }, sampleIntervalMs);
  try {
    await child.done(timeoutMs);
  } finally {
    clearInterval(timer);
  }
  return { wallMs: performance.now() - startedAt, cpuMs: cpuMsOfEndedChildren() - cpuBeforeMs, rssMax };
}

/** Writes out what earlier work left in the page cache, so that nobody pays for it but who made it. */
export async function settleDisk(folder: string): Promise<void> {
  await run('sync', ['-f', folder]);
}

/**
 * Has everybody do the same work, round by round. Who begins changes with each round, so that the place in the round
 * favours nobody.
 */
export async function alternate<Name extends Subject, Result>(
  roundCount: number,
  subjects: Readonly<Record<Name, (round: number) => Promise<Result>>>,
  onResult: (name: Name, round: number, result: Result) => void = () => undefined,
): Promise<Record<Name, Result[]>> {
  const names = Object.keys(subjects) as Name[];
  const results = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Result[]>;
  for (let round = 0; round < roundCount; round += 1) {
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(round + turn) % names.length];
      if (name === undefined) continue;
      const result = await subjects[name](round);
      results[name].push(result);
      onResult(name, round, result);
    }
  }
  return results;
}

/** The usual three rows: wall clock, CPU, memory. */
export function costRows(
  work: string,
  costs: { readonly go: readonly Cost[]; readonly other?: readonly Cost[]; readonly ours: readonly Cost[] },
  more: { readonly otherName?: string; readonly targets?: Partial<Record<'wall' | 'cpu' | 'memory', Row['targets']>> },
): readonly Row[] {
  const { go, other, ours } = costs;
  const { otherName, targets } = more;
  const row = (measure: string, unit: Row['unit'], of: (cost: Cost) => number, wanted: Row['targets']): Row => ({
    work,
    measure,
    unit,
    go: go.map(of),
    ours: ours.map(of),
    ...(other === undefined || measure === 'memory' ? {} : { other: other.map(of) }),
    ...(otherName === undefined ? {} : { otherName }),
    ...(wanted === undefined ? {} : { targets: wanted }),
  });
  return [
    row('wall', 's', ({ wallMs }) => wallMs / 1000, targets?.wall),
    row('CPU', 's', ({ cpuMs }) => cpuMs / 1000, targets?.cpu),
    row('memory', 'MB', ({ rssMax }) => rssMax / 1e6, targets?.memory),
  ];
}

export function describeCost({ wallMs, cpuMs, rssMax }: Cost): string {
  return `${(wallMs / 1000).toFixed(2)} s, CPU ${(cpuMs / 1000).toFixed(2)} s, ${(rssMax / 1e6).toFixed(0)} MB`;
}
