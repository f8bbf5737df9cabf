/** LZ4 frames (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md) as a stream: memory is two blocks at most. */
import { kernel } from '@litestream/ltx';
import { corrupt } from '../read/ltx-errors.ts';
import { Xxh32 } from './xxh32.ts';

const MAGIC = 0x184d2204;
const HISTORY_SIZE = 64 << 10;

/** The content of one or several consecutive frames. Verifies every checksum. */
export async function* decodeLz4Frames(
  source: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const input = new Input(source, name);
  try {
    do yield* decodeFrame(input);
    while (!(await input.isAtEnd()));
  } finally {
    await input.close();
  }
}

async function* decodeFrame(input: Input): AsyncGenerator<Uint8Array, void, undefined> {
  const start = await input.take(7);
  const view = viewOf(start);
  if (view.getUint32(0, true) !== MAGIC) throw input.bad('is not an LZ4 frame');
  const flags = start[4] ?? 0;
  const code = (start[5] ?? 0) >> 4;
  // Version 01, reserved bits zero, no dictionary.
  if (flags >> 6 !== 1 || (flags & 3) !== 0 || ((start[5] ?? 0) & 0x8f) !== 0 || code < 4) {
    throw input.bad('has a frame of an unknown kind');
  }
  const hasContentSize = (flags & 8) !== 0;
  const descriptor = hasContentSize ? Buffer.concat([start, await input.take(8)]) : start;
  const headerSum = descriptor.at(-1) ?? 0;
  if (((hashOf(descriptor.subarray(4, -1)) >>> 8) & 255) !== headerSum) throw input.bad('has a damaged frame header');
  const blockMax = 1 << (8 + 2 * code);
  const isIndependent = (flags & 32) !== 0;
  const content = (flags & 4) === 0 ? undefined : new Xxh32();
  let history = new Uint8Array(0);
  let size = 0;
  for (;;) {
    const word = viewOf(await input.take(4)).getUint32(0, true);
    if (word === 0) break;
    const blockSize = word & 0x7fffffff;
    if (blockSize > blockMax) throw input.bad(`has a block of ${blockSize} bytes`);
    const block = await input.take(blockSize);
    if ((flags & 16) !== 0 && hashOf(block) !== viewOf(await input.take(4)).getUint32(0, true)) {
      throw input.bad('has a damaged block');
    }
    const bytes = word >>> 31 === 1 ? block : decodeBlock(input, block, blockMax, history);
    content?.update(bytes);
    size += bytes.length;
    if (!isIndependent) history = Buffer.concat([history, bytes]).subarray(-HISTORY_SIZE);
    yield bytes;
  }
  if (content !== undefined && content.digest() !== viewOf(await input.take(4)).getUint32(0, true)) {
    throw input.bad('does not match its checksum');
  }
  if (hasContentSize && viewOf(descriptor).getBigUint64(6, true) !== BigInt(size)) {
    throw input.bad(`holds ${size} bytes, not as many as it says`);
  }
}

function decodeBlock(input: Input, block: Uint8Array, sizeMax: number, history: Uint8Array): Uint8Array {
  const bytes = kernel().decodeLz4Block(block, sizeMax, history);
  if (bytes === undefined) throw input.bad('has a malformed block');
  // The next call of the kernel overwrites its result.
  return bytes.slice();
}

function hashOf(bytes: Uint8Array): number {
  const hash = new Xxh32();
  hash.update(bytes);
  return hash.digest();
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Reads a stream in pieces of the requested size. */
class Input {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #name: string;
  #chunk: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>, name: string) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#name = name;
  }

  /** Exactly `size` bytes, in a new buffer. */
  async take(size: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(size);
    for (let done = 0; done < size;) {
      if (await this.isAtEnd()) throw this.bad('is truncated');
      const part = this.#chunk.subarray(0, size - done);
      bytes.set(part, done);
      this.#chunk = this.#chunk.subarray(part.length);
      done += part.length;
    }
    return bytes;
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const next = await this.#iterator.next();
      if (next.done === true) return true;
      this.#chunk = next.value;
    }
    return false;
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  bad(what: string): Error {
    return corrupt(this.#name, what);
  }
}
