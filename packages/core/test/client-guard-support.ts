/** What the tests of the layer around clients share. */
import type { Body } from '../src/storage/contract/contract.ts';
import { guardClient } from '../src/storage/guard/guard-client.ts';
import type { GuardOptions, OperationEvent } from '../src/storage/guard/guard-options.ts';
import type { Clock } from '../src/util/clock.ts';
import { LitestreamError } from '../src/util/error.ts';
import { MemoryClient } from '../src/testing/index.ts';

export const file = (txid: number, level = 0) => ({ level, minTxid: BigInt(txid), maxTxid: BigInt(txid) });
export const timestamp = new Date(1_700_000_000_000);
export const bodyOf = (...parts: string[]): Body => ({
  open: async function* () {
    for (const part of parts) yield Buffer.from(part);
  },
});
export const retryable = (code: 'NETWORK' | 'THROTTLED' | 'UNAVAILABLE' = 'NETWORK') =>
  new LitestreamError('try again', { code, retryable: true });
export const caught = async (call: () => Promise<unknown>) =>
  await call().then(
    () => undefined,
    (error: unknown) => error,
  );

/**
 * A clock that jumps to whatever is waited for, and writes down how long that was. The time of day runs backwards: nothing
 * may measure a duration by it.
 */
export function jumpingClock(): Clock & { waits: number[] } {
  const waits: number[] = [];
  let nowMs = 0;
  return {
    waits,
    now: () => -nowMs,
    monotonic: () => nowMs,
    schedule: (delayMs, task) => {
      let live = true;
      // Timeouts are set with every call and mostly cancelled; only what is really waited for counts.
      setImmediate(() =>
        setImmediate(() => {
          if (!live) return;
          nowMs += delayMs;
          waits.push(delayMs);
          task();
        }),
      );
      return () => {
        live = false;
      };
    },
  };
}

/** A memory client whose operations fail as told, in order. */
export function failing(failures: Record<string, unknown[]>, options: GuardOptions = {}) {
  const calls: string[] = [];
  const inner = new MemoryClient({
    before: (operation) => {
      calls.push(operation);
      const failure = failures[operation]?.shift();
      // oxlint-disable-next-line typescript/only-throw-error -- clients throw whatever their SDK throws
      if (failure !== undefined) throw failure;
    },
  });
  const events: OperationEvent[] = [];
  const clock = jumpingClock();
  const client = guardClient(inner, {
    clock,
    random: () => 0,
    timeoutsMs: noTimeouts,
    onOperation: (event) => events.push(event),
    ...options,
  });
  return { client, inner, calls, events, clock };
}

export const noTimeouts = Object.fromEntries(
  ['init', 'ltxFiles', 'openLtxFile', 'body', 'writeLtxFile', 'deleteLtxFiles', 'deleteAll'].map((name) => [
    name,
    Infinity,
  ]),
);
