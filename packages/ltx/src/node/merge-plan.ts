import type { PageIndex } from '../page-index.ts';

/** One stretch of the output: pages that are next, in every input at once. */
export interface MergeWindow {
  /** For each input, the place in its index at which its part of the window ends. */
  readonly ends: readonly number[];
  /** The pages of the output, and the bytes of their frames. */
  readonly pgnos: Uint32Array;
  readonly sizes: Uint32Array;
  /** Where each of those frames stands among the bytes of the window's output. */
  readonly offsets: Uint32Array;
  /** Bytes of them all. */
  readonly length: number;
}

/** Who wins, for all frames of all inputs, by what their indexes say. */
export class MergePlan {
  readonly #indexes: readonly PageIndex[];
  readonly #commit: number;
  readonly #windowSize: number;
  /** For each frame of each input: which of its window's output it is, or -1 if a newer one wins. */
  readonly #places: readonly Int32Array[];

  /** Indexes ascend from the oldest input to the newest. A window takes about `windowSize` bytes of all inputs. */
  constructor(indexes: readonly PageIndex[], commit: number, windowSize: number) {
    this.#indexes = indexes;
    this.#commit = commit;
    this.#windowSize = windowSize;
    this.#places = indexes.map((index) => new Int32Array(index.count).fill(-1));
  }

  /** Where in its window's output each frame of an input goes; -1 for those that are left out. Known once windows are. */
  places(input: number): Int32Array {
    return this.#places[input] ?? new Int32Array(0);
  }

  *windows(): Generator<MergeWindow, void, undefined> {
    const inputCount = this.#indexes.length;
    const keys = sortedKeys(this.#indexes);
    const ends = this.#indexes.map(() => 0);
    let from = 0;
    while (from < keys.length) {
      const pgnos: number[] = [];
      const sizes: number[] = [];
      const offsets: number[] = [];
      let length = 0;
      let read = 0;
      let last = 0;
      let at = from;
      for (; at < keys.length; at += 1) {
        const key = keys[at] ?? 0;
        const pgno = Math.floor(key / inputCount);
        // All versions of a page lie in one window.
        if (pgno !== last && read >= this.#windowSize) break;
        const input = inputCount - 1 - (key % inputCount);
        const frame = ends[input] ?? 0;
        const size = this.#indexes[input]?.sizes[frame] ?? 0;
        if (pgno !== last && pgno <= this.#commit) {
          const places = this.#places[input];
          if (places !== undefined) places[frame] = pgnos.length;
          pgnos.push(pgno);
          sizes.push(size);
          offsets.push(length);
          length += size;
        }
        last = pgno;
        read += size;
        ends[input] = frame + 1;
      }
      from = at;
      yield {
        ends: [...ends],
        pgnos: Uint32Array.from(pgnos),
        sizes: Uint32Array.from(sizes),
        offsets: Uint32Array.from(offsets),
        length,
      };
    }
  }
}

/**
 * One number for each frame, in the order of the output: by page, the newest input first. Page numbers have 32 bits, so a
 * double holds them beside the number of an input.
 */
function sortedKeys(indexes: readonly PageIndex[]): Float64Array {
  const keys = new Float64Array(indexes.reduce((sum, index) => sum + index.count, 0));
  let filled = 0;
  for (const [input, { pgnos }] of indexes.entries()) {
    const rank = indexes.length - 1 - input;
    for (const pgno of pgnos) {
      keys[filled] = pgno * indexes.length + rank;
      filled += 1;
    }
  }
  return keys.sort();
}
