/** What a benchmark is: some work that is done by each of the programs in turn, and what came out of it. */
import type { Program } from '../../tests/support/programs.ts';
import type { BenchOptions } from './options.ts';

/** Who does the work. `other` is the baseline of the case: `cp`, or the writer alone. */
export type Subject = 'go' | 'other' | 'ours';

/** What is compared: our figure, or the quotient of ours and somebody else's. */
export interface Target {
  readonly of: 'ours' | 'ours/go' | 'ours/other';
  readonly max?: number;
  readonly min?: number;
}

/** One measure of one piece of work. Samples stand in the order of the rounds; all are kept. */
export interface Row {
  readonly work: string;
  readonly measure: string;
  readonly unit: 's' | 'ms' | 'MB' | '%' | '' | '/s';
  readonly go?: readonly number[];
  readonly other?: readonly number[];
  /** Who `other` is. */
  readonly otherName?: string;
  readonly ours: readonly number[];
  readonly targets?: readonly Target[];
}

export interface BenchContext {
  readonly options: BenchOptions;
  readonly go: Program;
  readonly ours: Program;
  /** A folder for what is kept between runs: databases and replicas that take long to make. */
  readonly cache: string;
  /** A folder of this run. */
  readonly folder: string;
  readonly log: (text: string) => void;
}

export interface BenchCase {
  readonly name: string;
  readonly about: string;
  run(context: BenchContext): Promise<readonly Row[]>;
}
