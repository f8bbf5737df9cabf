// Which frames of many inputs come next in their merge.

import { RESULT } from './result';

/** The place of a frame that a newer one replaces, or that lies past the end of the database. */
export const NO_PLACE: u32 = u32.MAX_VALUE;

/** Puts `key` where it belongs, from `at` downwards, in a heap of `count` numbers whose least is at the top. */
function sift(heap: usize, count: u32, at: u32, key: u64): void {
  while (true) {
    let child: u32 = 2 * at + 1;
    if (child >= count) break;
    let least = load<u64>(heap + (<usize>child << 3));
    if (child + 1 < count) {
      const other = load<u64>(heap + (<usize>(child + 1) << 3));
      if (other < least) {
        least = other;
        child++;
      }
    }
    if (key <= least) break;
    store<u64>(heap + (<usize>at << 3), least);
    at = child;
  }
  store<u64>(heap + (<usize>at << 3), key);
}

/**
 * Goes on with the merge until `windowSize` bytes of all inputs are taken, or a little more: all versions of a page lie in
 * one window. Inputs ascend from the oldest to the newest. `pgnos`, `sizes` and `places` have one number for each frame of
 * all inputs; those of input i go from `heads[i]`, which moves on, up to `stops[i]`. Places count from 0 in each window.
 *
 * Returns how many frames the window's output has; their page numbers, sizes and offsets go to `out…`. For each input, the
 * bytes taken go to `lengths`. RESULT: bytes of the output +0, bytes taken +4: nothing once all is merged.
 */
export function planWindow(
  inputCount: u32,
  heads: usize,
  stops: usize,
  pgnos: usize,
  sizes: usize,
  places: usize,
  commit: u32,
  windowSize: u32,
  heap: usize,
  lengths: usize,
  outPgnos: usize,
  outSizes: usize,
  outOffsets: usize,
): u32 {
  let queued: u32 = 0;
  for (let i: u32 = 0; i < inputCount; i++) {
    const head = load<u32>(heads + (<usize>i << 2));
    store<u32>(lengths + (<usize>i << 2), 0);
    if (head == load<u32>(stops + (<usize>i << 2))) continue;
    const pgno = <u64>load<u32>(pgnos + (<usize>head << 2));
    // By page, and of one page the newest input first.
    store<u64>(heap + (<usize>queued << 3), (pgno << 32) | (inputCount - 1 - i));
    queued++;
  }
  for (let at = <i32>(queued >> 1) - 1; at >= 0; at--) sift(heap, queued, at, load<u64>(heap + (<usize>at << 3)));

  let count: u32 = 0;
  let length: u32 = 0;
  let taken: u32 = 0;
  let last: u32 = 0;
  while (queued != 0) {
    const key = load<u64>(heap);
    const pgno = <u32>(key >> 32);
    if (pgno != last && taken >= windowSize) break;
    const i = inputCount - 1 - <u32>key;
    const frame = load<u32>(heads + (<usize>i << 2));
    const size = load<u32>(sizes + (<usize>frame << 2));
    let place = NO_PLACE;
    if (pgno != last && pgno <= commit) {
      place = count;
      store<u32>(outPgnos + (<usize>count << 2), pgno);
      store<u32>(outSizes + (<usize>count << 2), size);
      store<u32>(outOffsets + (<usize>count << 2), length);
      length += size;
      count++;
    }
    store<u32>(places + (<usize>frame << 2), place);
    last = pgno;
    taken += size;
    store<u32>(lengths + (<usize>i << 2), load<u32>(lengths + (<usize>i << 2)) + size);
    store<u32>(heads + (<usize>i << 2), frame + 1);
    if (frame + 1 < load<u32>(stops + (<usize>i << 2))) {
      const next = <u64>load<u32>(pgnos + (<usize>(frame + 1) << 2));
      sift(heap, queued, 0, (next << 32) | <u32>key);
    } else {
      queued--;
      if (queued != 0) sift(heap, queued, 0, load<u64>(heap + (<usize>queued << 3)));
    }
  }
  store<u32>(RESULT, length);
  store<u32>(RESULT + 4, taken);
  return count;
}
