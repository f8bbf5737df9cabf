/** How often, and with which delays, a failed call is retried. */
export interface RetryPolicy {
  /** Calls in all, the first included. 1 means no retry. */
  readonly attemptCountMax: number;
  /** Wait before the second attempt, before jitter. It doubles with each further one. */
  readonly delayMsMin: number;
  /** No wait is longer, before jitter or after. */
  readonly delayMsMax: number;
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = { attemptCountMax: 4, delayMsMin: 250, delayMsMax: 10_000 };

/**
 * Delay in milliseconds after the `attempt`-th failure, from 1 on: it doubles, and is shortened at random by up to
 * half, so that clients that failed together do not retry together.
 */
export function backoffDelayMs(policy: RetryPolicy, attempt: number, random: number): number {
  const delayMs = Math.min(policy.delayMsMin * 2 ** (attempt - 1), policy.delayMsMax);
  return Math.round(delayMs * (1 - random / 2));
}
