import type { WalFrames } from './kernel.ts';
import type { KernelRuntime } from './kernel-runtime.ts';
import { argument, checkPageSize, PIECE_SIZE } from './limits.ts';

/** Checksums and frames of a WAL. */
export class WalKernel {
  readonly #runtime: KernelRuntime;

  constructor(runtime: KernelRuntime) {
    this.#runtime = runtime;
  }

  /** See `Kernel.walChecksum`. */
  checksum(bytes: Uint8Array, bigEndian: boolean, s0: number, s1: number): { s0: number; s1: number } {
    if (bytes.length % 8 !== 0) throw argument(`${bytes.length} bytes, which are not whole units of 8`);
    const { memory } = this.#runtime;
    const data = memory.outside(bytes);
    let sums = { s0, s1 };
    for (let at = 0; at < data.length; at += PIECE_SIZE) {
      memory.reset();
      const piece = data.subarray(at, at + PIECE_SIZE);
      this.#runtime.wasm.walChecksum(memory.put(piece), piece.length, bigEndian ? 1 : 0, sums.s0, sums.s1);
      const result = this.#runtime.result(8);
      sums = { s0: result.getUint32(0, true), s1: result.getUint32(4, true) };
    }
    return sums;
  }

  /** See `Kernel.walFrames`. */
  frames(
    bytes: Uint8Array,
    pageSize: number,
    bigEndian: boolean,
    salt1: number,
    salt2: number,
    s0: number,
    s1: number,
  ): WalFrames {
    checkPageSize(pageSize);
    const frameSize = 24 + pageSize;
    const total = Math.floor(bytes.length / frameSize);
    const step = Math.max(1, Math.floor(PIECE_SIZE / frameSize));
    const { memory } = this.#runtime;
    // What fits one call may stand in the kernel's memory already.
    const isWhole = total <= step;
    const data = isWhole ? bytes : memory.outside(bytes);
    const pgnos = new Uint32Array(total);
    const commits = new Uint32Array(total);
    let found = { count: 0, s0, s1, lastCommit: -1, commitS0: s0, commitS1: s1 };
    while (found.count < total) {
      const asked = Math.min(step, total - found.count);
      const piece = data.subarray(found.count * frameSize, (found.count + asked) * frameSize);
      const at = memory.begin(piece);
      const pgnosAt = memory.reserve(4 * asked);
      const commitsAt = memory.reserve(4 * asked);
      const big = bigEndian ? 1 : 0;
      const { s0: a, s1: b } = found;
      const count = this.#runtime.wasm.walFrames(at, asked, pageSize, big, salt1, salt2, a, b, pgnosAt, commitsAt);
      const result = this.#runtime.result(20);
      pgnos.set(memory.numbers(pgnosAt, count), found.count);
      commits.set(memory.numbers(commitsAt, count), found.count);
      const commit = result.getInt32(16, true);
      found = {
        count: found.count + count,
        s0: result.getUint32(0, true),
        s1: result.getUint32(4, true),
        lastCommit: commit < 0 ? found.lastCommit : found.count + commit,
        commitS0: commit < 0 ? found.commitS0 : result.getUint32(8, true),
        commitS1: commit < 0 ? found.commitS1 : result.getUint32(12, true),
      };
      if (count < asked) break;
    }
    return { ...found, pgnos: pgnos.subarray(0, found.count), commits: commits.subarray(0, found.count) };
  }
}
