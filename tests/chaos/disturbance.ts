import type { Life } from './life.ts';

/** One way in which the world breaks what a life is about. */
export interface Disturbance {
  readonly name: string;
  /** What this life must have for it and has not; undefined if nothing is missing. */
  readonly lacks?: (life: Life) => string | undefined;
  /**
   * Called while everything is at work. Throws unless what must hold at once does. Afterwards the round restores and proves the
   * replica: what was acknowledged is there, unless the disturbance called `replaced` or `newBeginning`.
   */
  readonly act: (life: Life) => Promise<void>;
}

export const needsCommandLine = ({ kind }: Life): string | undefined =>
  kind.driver === undefined ? undefined : 'litestream as a process of its own';

export const needsBucket = ({ store }: Life): string | undefined => (store.kind === 'bucket' ? undefined : 'a bucket');
