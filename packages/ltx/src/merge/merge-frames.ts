import type { LtxEncoder } from '../codec/encoder.ts';
import type { LtxHeader } from '../format/header.ts';
import type { Cursor } from './cursor.ts';
import { Stage } from './stage.ts';

/**
 * Yields the newest frame of each page up to the header's commit, in order. Works in windows: up to the lowest page at
 * which any input's batch ends, all frames are loaded, so a window is merged without waiting, and uses up at least one
 * batch. The caller owns the chunks.
 */
export async function* mergeFrames(
  cursors: readonly Cursor[],
  header: LtxHeader,
  encoder: LtxEncoder,
): AsyncGenerator<Uint8Array, void, undefined> {
  const stage = new Stage(header.pageSize);
  let active = cursors;
  let spent = cursors;
  while (true) {
    await Promise.all(spent.map((cursor) => cursor.load()));
    active = active.filter((cursor) => cursor.batch !== undefined);
    if (active.length === 0) break;
    for (const chunk of mergeWindow(active, header.commit, stage, encoder)) yield chunk;
    spent = active.filter((cursor) => cursor.isSpent);
  }
  yield flush(stage, encoder);
}

function* mergeWindow(
  active: readonly Cursor[],
  commit: number,
  stage: Stage,
  encoder: LtxEncoder,
): Generator<Uint8Array, void, undefined> {
  const keys = sortedKeys(active, lowestEnd(active));
  let last = 0;
  for (const key of keys) {
    const pgno = Math.floor(key / active.length);
    const cursor = active[active.length - 1 - (key % active.length)];
    if (cursor?.batch === undefined) continue;
    if (pgno !== last && pgno <= commit && !stage.add(cursor.batch, cursor.at, cursor.frameAt)) {
      yield flush(stage, encoder);
      stage.add(cursor.batch, cursor.at, cursor.frameAt);
    }
    last = pgno;
    cursor.advance();
  }
}

function lowestEnd(active: readonly Cursor[]): number {
  let lowest = Infinity;
  for (const cursor of active) lowest = Math.min(lowest, cursor.lastPgno);
  return lowest;
}

/**
 * One number for each frame of a page up to `limit`, in the order of the output: by page, the newest input first. Page
 * numbers have 32 bits, so a double holds them beside the number of an input.
 */
function sortedKeys(active: readonly Cursor[], limit: number): Float64Array {
  const counts = active.map(({ batch, at }) => {
    let end = at;
    while (end < (batch?.pgnos.length ?? 0) && (batch?.pgnos[end] ?? 0) <= limit) end += 1;
    return end - at;
  });
  const keys = new Float64Array(counts.reduce((sum, count) => sum + count, 0));
  let filled = 0;
  for (const [index, { batch, at }] of active.entries()) {
    const count = counts[index] ?? 0;
    for (let i = 0; i < count; i += 1) {
      keys[filled] = (batch?.pgnos[at + i] ?? 0) * active.length + (active.length - 1 - index);
      filled += 1;
    }
  }
  return keys.sort();
}

function flush(stage: Stage, encoder: LtxEncoder): Uint8Array {
  const batch = stage.take();
  encoder.passFrames(batch);
  return batch.frames;
}
