import type { Life } from './life.ts';

/** One kind of failure that a life must survive. */
export interface Disturbance {
  readonly name: string;
  /** What the disturbance needs and this life lacks; undefined if it lacks nothing. */
  readonly lacks?: (life: Life) => string | undefined;
  /**
   * Called while everything runs. Throws if something does not hold that must hold immediately. Afterwards the round restores and
   * proves the replica: what was acknowledged is there, unless the disturbance called `replaced` or `newBeginning`.
   */
  readonly act: (life: Life) => Promise<void>;
}

export const needsCommandLine = ({ kind }: Life): string | undefined =>
  kind.driver === undefined ? undefined : 'litestream as a process of its own';

export const needsBucket = ({ store }: Life): string | undefined => (store.kind === 'bucket' ? undefined : 'a bucket');
