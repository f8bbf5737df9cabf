/** Repeatable random numbers: xorshift32 with a seed. */
export class Seeded {
  readonly seed: number;
  #state: number;

  constructor(seed: number = (Math.random() * 0xffffffff) >>> 0) {
    this.seed = seed >>> 0;
    // A zero state would stay zero; the mixing keeps neighbouring seeds apart.
    this.#state = Math.imul(this.seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0 || 1;
  }

  /** Uniform in [0, 1). */
  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return this.#state / 0x1_0000_0000;
  }

  /** Integer from 0 to `end`, excluding `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  bytes(size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    for (let index = 0; index < size; index += 1) bytes[index] = this.below(256);
    return bytes;
  }
}
