import { instantiate } from './instance.ts';
import type { KernelExports } from './instance.ts';
import { KernelMemory } from './memory.ts';

/** One instance of the kernel, its memory, and the area where its calls leave results. */
export class KernelRuntime {
  readonly wasm: KernelExports;
  readonly memory: KernelMemory;
  readonly #resultAt: number;

  constructor() {
    this.wasm = instantiate();
    this.memory = new KernelMemory(this.wasm);
    this.#resultAt = this.wasm.resultBase();
  }

  /** The first bytes of what the last call left. Void once the memory grows. */
  result(length: number): DataView {
    return this.memory.view(this.#resultAt, length);
  }

  /** Sets the running file checksum that the next call goes on from. */
  setCrc(crc: bigint): void {
    this.result(8).setBigUint64(0, crc, true);
  }

  /** The running file checksum after the last call. */
  crc(): bigint {
    return this.result(8).getBigUint64(0, true);
  }
}
