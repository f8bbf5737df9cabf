import { LitestreamError } from '../../util/error.ts';
import type { Call, GuardCalls } from './guard-call.ts';
import type { Attempt } from './guard-stream.ts';
import { malformedAnswer } from '../errors/malformed-answer.ts';

export interface GuardedListing<T> {
  readonly calls: GuardCalls;
  readonly call: Call;
  /** Lists again; items up to and including `after` may be left out. */
  readonly list: (after: T | undefined, signal: AbortSignal) => AsyncIterable<T>;
  readonly compare: (a: T, b: T) => number;
  /** Is this item well-formed? An SDK does not check the server's answer. */
  readonly isValid: (item: T) => boolean;
}

/**
 * A listing that survives failures: it continues after the last delivered item. An item out of order is an error here,
 * because plans and positions depend on the order.
 */
export async function* guardListing<T>(listing: GuardedListing<T>): AsyncGenerator<T> {
  const { calls, call, compare } = listing;
  let last: T | undefined;
  let resumeAfter: T | undefined;
  let failures = 0;
  for (;;) {
    const attempt = calls.begin(call, failures + 1, calls.timeoutMs(call.operation));
    let iterator: AsyncIterator<T> | undefined;
    let ended = false;
    try {
      for (let first = true; ; first = false) {
        let result: IteratorResult<T>;
        try {
          iterator ??= listing.list(resumeAfter, attempt.watch.signal)[Symbol.asyncIterator]();
          result = await nextItem(calls, call, attempt, iterator, first);
          if (result.done !== true && !listing.isValid(result.value)) {
            throw malformedAnswer(calls.backend, 'the listing holds a file without a size, or a time');
          }
          // A server may list an item twice, for example on two pages between which another item was written.
          if (result.done !== true && last !== undefined && compare(result.value, last) === 0) continue;
          if (result.done !== true && last !== undefined && compare(result.value, last) <= 0) {
            if (resumeAfter !== undefined && compare(result.value, resumeAfter) <= 0) continue;
            throw outOfOrder();
          }
        } catch (error) {
          ended = true;
          attempt.end(error);
          abandon(iterator);
          failures++;
          await calls.recover(failures, error, call);
          resumeAfter = last;
          break;
        }
        if (result.done === true) {
          ended = true;
          return;
        }
        last = result.value;
        failures = 0;
        attempt.count++;
        yield result.value;
      }
    } finally {
      if (!ended) await iterator?.return?.();
      attempt.end();
    }
  }
}

/** Only the first item counts as a request; the following ones belong to it. */
async function nextItem<T>(
  calls: GuardCalls,
  call: Call,
  attempt: Attempt,
  iterator: AsyncIterator<T>,
  first: boolean,
): Promise<IteratorResult<T>> {
  const step = async (): Promise<IteratorResult<T>> => await attempt.watch.step(() => iterator.next());
  return first ? await calls.inSlot(call, step) : await step();
}

function outOfOrder(): LitestreamError {
  return new LitestreamError('the listing is out of order', {
    code: 'INTERNAL',
    hint: 'Report this to the author of the storage client.',
  });
}

/** Not awaited: the `return` of a blocked iterator would block too, and the failure has been reported. */
function abandon(iterator: AsyncIterator<unknown> | undefined): void {
  Promise.resolve()
    .then(() => iterator?.return?.())
    .catch(() => undefined);
}
