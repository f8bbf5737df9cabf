/**
 * Gathers bytes from an async source with chunks of any size in one buffer, for a kernel that needs long runs. Takes a
 * new chunk only when the last one is used up.
 */
export class ByteQueue {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #buffer: Uint8Array;
  #chunk: Uint8Array = new Uint8Array(0);
  #start = 0;
  #end = 0;
  #offset = 0;
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>, capacity: number) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#buffer = new Uint8Array(capacity);
  }

  /** Bytes consumed from the source so far: the file offset of the first byte of `bytes`. */
  get offset(): number {
    return this.#offset;
  }

  /** The gathered bytes: a view that is valid until the next `fill`. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** True once the source has ended and all of its bytes are in the buffer. */
  get ended(): boolean {
    return this.#ended && this.#chunk.length === 0;
  }

  /** Gathers until `bytes` holds `size` bytes, or the source ends. The buffer grows if necessary. */
  async fill(size: number): Promise<void> {
    if (this.#end - this.#start >= size) return;
    if (size > this.#buffer.length) {
      const buffer = new Uint8Array(size);
      buffer.set(this.bytes);
      this.#buffer = buffer;
      this.#end -= this.#start;
      this.#start = 0;
    }
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    while (this.#end < size) {
      if (this.#chunk.length === 0) {
        if (this.#ended) return;
        const next = await this.#iterator.next();
        if (next.done === true) {
          this.#ended = true;
          return;
        }
        this.#chunk = next.value;
        continue;
      }
      const taken = this.#chunk.subarray(0, this.#buffer.length - this.#end);
      this.#buffer.set(taken, this.#end);
      this.#end += taken.length;
      this.#chunk = this.#chunk.subarray(taken.length);
    }
  }

  /** Drops bytes from the front. */
  consume(size: number): void {
    this.#start += size;
    this.#offset += size;
  }

  /** Ends the source early. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#chunk = new Uint8Array(0);
    await this.#iterator.return?.();
  }
}
