/** Runs one task at a time, in the order of the calls. */
export class TaskQueue {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(task);
    // A failed task does not stop the queue; its caller gets the error.
    this.#tail = turn.catch(() => undefined);
    return turn;
  }
}

/** Calls `task` for each item, at most `limit` at a time. Resolves to the results in the order of the items. */
export async function settleBounded<T, R>(
  items: readonly T[],
  limit: number,
  task: (item: T) => Promise<R>,
): Promise<PromiseSettledResult<R>[]> {
  const results: PromiseSettledResult<R>[] = [];
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) [results[index]] = await Promise.allSettled([task(item)]);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}
