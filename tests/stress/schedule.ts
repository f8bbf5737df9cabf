import { Random } from '../support/random.ts';

export interface Task<File> {
  readonly file: File;
  /** From 1. */
  readonly round: number;
  readonly seed: number;
}

/** Every file once a round. Each round has a seed of its own, which also orders it: neighbours differ from round to round. */
export function* tasksOf<File>(files: readonly File[], roundCount: number, seed: number): Generator<Task<File>> {
  for (let round = 1; round <= roundCount; round += 1) {
    const roundSeed = (seed + round - 1) % 2 ** 31;
    const random = new Random(roundSeed);
    const order = files.map((file) => ({ file, rank: random.next() })).sort((a, b) => a.rank - b.rank);
    for (const { file } of order) yield { file, round, seed: roundSeed };
  }
}

/** Takes tasks in their order, `workerCount` at once, until there are none or `signal` aborts. */
export async function work<T>(
  tasks: Iterator<T, undefined>,
  workerCount: number,
  signal: AbortSignal,
  run: (task: T) => Promise<void>,
): Promise<void> {
  await Promise.all(
    Array.from({ length: workerCount }, async () => {
      while (!signal.aborted) {
        const { done, value } = tasks.next();
        if (done === true) return;
        await run(value);
      }
    }),
  );
}
