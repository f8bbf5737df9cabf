import { Random } from '../support/random.ts';

/** Files that one vitest runs, one after the other. */
export interface Batch<File> {
  readonly files: readonly File[];
  /** From 1. */
  readonly round: number;
  readonly seed: number;
}

/** Vitest needs a second of CPU time to start, once per batch. A batch is short beside a round, so that the workers end together. */
const BATCH_FILE_COUNT_MAX = 12;

/**
 * Every file once per round, in batches that keep `workerCount` workers busy. Each round has its own seed, which also orders the
 * files: neighbours differ from round to round.
 */
export function* batchesOf<File>(
  files: readonly File[],
  options: {
    readonly roundCount: number;
    readonly seed: number;
    readonly workerCount: number;
    /** Files that share no batch with the others. */
    readonly isApart?: (file: File) => boolean;
  },
): Generator<Batch<File>, undefined> {
  const size = Math.min(BATCH_FILE_COUNT_MAX, Math.ceil(files.length / options.workerCount));
  for (let round = 1; round <= options.roundCount; round += 1) {
    const seed = (options.seed + round - 1) % 2 ** 31;
    const random = new Random(seed);
    const ranked = files.map((file) => ({ file, rank: random.next() })).sort((a, b) => a.rank - b.rank);
    const groups = Map.groupBy(ranked, ({ file }) => options.isApart?.(file) === true);
    for (const order of groups.values()) {
      for (let at = 0; at < order.length; at += size) {
        yield { files: order.slice(at, at + size).map(({ file }) => file), round, seed };
      }
    }
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
