/** A seeded generator (mulberry32): the same seed gives the same run, on every machine. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 ≤ x < 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(values: readonly T[]): T {
    const value = values[this.between(0, values.length - 1)];
    if (value === undefined) throw new Error('pick from nothing');
    return value;
  }

  /** Bytes half of which compress, like the rows of a real table. */
  body(size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    const word = this.between(97, 122);
    for (let i = 0; i < size; i += 1) bytes[i] = i % 16 < 8 ? word : this.between(0, 255);
    return bytes;
  }
}

/** The seed of this run: `SEED` from the environment, else a new one. Always print it. */
export function seedOf(environment: string | undefined = process.env['SEED']): number {
  if (environment === undefined || environment === '') return Math.floor(Math.random() * 2 ** 31);
  const seed = Number(environment);
  if (!Number.isInteger(seed)) throw new Error(`SEED must be a whole number: ${environment}`);
  return seed;
}
