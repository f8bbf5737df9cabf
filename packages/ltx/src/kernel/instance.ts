import { KERNEL_WASM_BASE64 } from '../generated/kernel-wasm.ts';

/** The exports of `assembly/index.ts`. Addresses and sizes are bytes in `memory`. */
export interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  heapBase(): number;
  resultBase(): number;
  crc64(at: number, length: number, seed: bigint): bigint;
  crc64Combine(a: bigint, b: bigint, length: bigint): bigint;
  encodeFrames(
    pgnos: number,
    count: number,
    pages: number,
    pageSize: number,
    out: number,
    sizes: number,
    sums: number,
  ): number;
  decodeFrames(
    src: number,
    length: number,
    pageSize: number,
    sizeMax: number,
    countMax: number,
    out: number,
    pgnos: number,
    sizes: number,
    crcs: number,
    kinds: number,
    sum: number,
    sums: number,
  ): number;
  appendChecked(crcs: number, kinds: number, count: number, pageSize: number): void;
  checksumFrames(frames: number, sizes: number, pgnos: number, count: number, pages: number, pageSize: number): number;
  pageChecksums(pgnos: number, count: number, pages: number, pageSize: number, skip: number, out: number): bigint;
  pageHashes(pgnos: number, count: number, pages: number, pageSize: number, skip: number, out: number): void;
  decodeBlock(src: number, length: number, out: number, outEnd: number, base: number): number;
  walChecksum(at: number, length: number, big: number, s0: number, s1: number): void;
  walFrames(
    at: number,
    count: number,
    pageSize: number,
    big: number,
    salt1: number,
    salt2: number,
    s0: number,
    s1: number,
    pgnos: number,
    commits: number,
  ): number;
  parseIndex(
    src: number,
    length: number,
    pgnos: number,
    sizes: number,
    commit: number,
    lock: number,
    snapshot: number,
    pagesEnd: number,
  ): number;
  planWindow(
    inputCount: number,
    heads: number,
    stops: number,
    pgnos: number,
    sizes: number,
    places: number,
    commit: number,
    windowSize: number,
    heap: number,
    lengths: number,
    outPgnos: number,
    outSizes: number,
    outOffsets: number,
  ): number;
  mergeFrames(
    src: number,
    end: number,
    count: number,
    pageSize: number,
    sizeMax: number,
    page: number,
    pgnos: number,
    sizes: number,
    places: number,
    sum: number,
    state: number,
    out: number,
    offsets: number,
    crcs: number,
    kinds: number,
  ): number;
}

// The types of WebAssembly are in the DOM library, which a package for Node should not load.
interface WebAssemblyApi {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

let compiled: object | undefined;

/**
 * A new instance of the kernel, created synchronously: it is a few KiB, and imports nothing. Compiled once per thread.
 */
export function instantiate(): KernelExports {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };
  compiled ??= new WebAssembly.Module(decodeBase64());
  return new WebAssembly.Instance(compiled, {}).exports as KernelExports;
}

function decodeBase64(): Uint8Array {
  const text = atob(KERNEL_WASM_BASE64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}
