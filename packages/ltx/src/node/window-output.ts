import type { ListedFrames } from '../kernel/kernel.ts';
import type { MergeWindow } from './merge-plan.ts';

/** Buffers for chunks of the output: new ones, or the same two in turn. */
export class ChunkBuffers {
  readonly #reuse: boolean;
  #next = new Uint8Array(0);
  #other = new Uint8Array(0);

  constructor(reuse: boolean) {
    this.#reuse = reuse;
  }

  take(length: number): Uint8Array {
    if (!this.#reuse) return new Uint8Array(length);
    let buffer = this.#next;
    // Some more than needed, for windows differ in size.
    if (buffer.length < length) buffer = new Uint8Array(length + (length >> 2));
    this.#next = this.#other;
    this.#other = buffer;
    return buffer.subarray(0, length);
  }
}

/** The frames of one window, gathered from all inputs. */
export class WindowOutput {
  readonly pgnos: Uint32Array;
  readonly sizes: Uint32Array;
  readonly frames: Uint8Array;
  readonly checksums: BigUint64Array;
  readonly kinds: Uint8Array;
  readonly #offsets: Uint32Array;

  constructor({ pgnos, sizes, offsets, length }: MergeWindow, buffers: ChunkBuffers) {
    this.pgnos = pgnos;
    this.sizes = sizes;
    this.frames = buffers.take(length);
    this.checksums = new BigUint64Array(pgnos.length);
    this.kinds = new Uint8Array(pgnos.length);
    this.#offsets = offsets;
  }

  /** Copies the frames that have a place; neighbours that stay neighbours go together. */
  take({ frames, sizes, checksums, kinds }: ListedFrames, places: Int32Array): void {
    let at = 0;
    let runFrom = 0;
    let runPlace = 0;
    let runCount = 0;
    for (let i = 0; i < places.length; i += 1) {
      const place = places[i] ?? -1;
      if (runCount > 0 && place !== runPlace + runCount) {
        this.frames.set(frames.subarray(runFrom, at), this.#offsets[runPlace]);
        runCount = 0;
      }
      if (place >= 0) {
        this.checksums[place] = checksums[i] ?? 0n;
        this.kinds[place] = kinds[i] ?? 0;
        if (runCount === 0) {
          runFrom = at;
          runPlace = place;
        }
        runCount += 1;
      }
      at += sizes[i] ?? 0;
    }
    if (runCount > 0) this.frames.set(frames.subarray(runFrom, at), this.#offsets[runPlace]);
  }
}
