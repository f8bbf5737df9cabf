import { lockPageNumber } from '../format/constants.ts';
import { LtxError } from '../format/error.ts';
import { isSnapshot } from '../format/header.ts';
import type { LtxHeader } from '../format/header.ts';
import { instantiate } from '../kernel/instance.ts';
import type { KernelExports } from '../kernel/instance.ts';
import { blockSizeMax, DECODE_FAULTS } from '../kernel/limits.ts';
import { KernelMemory } from '../kernel/memory.ts';
import { FRAME_SIZE_MIN, INDEXED_SIZE_MAX } from '../format/page-index.ts';
import type { PageIndex } from '../format/page-index.ts';

/** Bytes of frames that are read and checked at a time: few enough for a CPU cache. */
const PIECE_SIZE = 512 << 10;
/** The fewest bytes of an index entry. */
const ENTRY_SIZE_MIN = 3;
/** A kernel that grew past this is not kept for the next merge. */
const KEPT_SIZE_MAX = 32 << 20;
const BAD_INDEX_FAULT = 8;

/** What must be known before memory can be laid out. */
export interface MergeShape {
  readonly inputCount: number;
  /** Bytes of all indexes together, and of the longest. */
  readonly indexesSize: number;
  readonly indexSizeMax: number;
  readonly pageSize: number;
  /** Database size of the output, in pages. */
  readonly commit: number;
  /** Approximate bytes of all inputs together that are merged at a time. */
  readonly windowSize: number;
}

/** The output of one window. Views that are valid until the next window; `frames` until the next but one. */
export interface MergedWindow {
  readonly pgnos: Uint32Array;
  readonly sizes: Uint32Array;
  /** Valid once the frames of all inputs were taken, like the fields below. */
  readonly frames: Uint8Array;
  readonly checksums: BigUint64Array;
  readonly kinds: Uint8Array;
}

type Area = 'scratch' | 'starts' | 'heads' | 'stops' | 'lengths' | 'heap' | 'states' | 'pgnos' | 'sizes';
type WindowArea =
  | 'places'
  | 'outPgnos'
  | 'outSizes'
  | 'outOffsets'
  | 'checksums'
  | 'kinds'
  | 'page'
  | 'out'
  | 'otherOut';

/**
 * A separate kernel for one merge of files, because its state must survive calls of other users. Indexes, the plan and
 * the output of a window stay in its memory, and files are read directly into it.
 */
export class MergeKernel {
  readonly #wasm: KernelExports = instantiate();
  readonly #memory = new KernelMemory(this.#wasm);
  #shape: MergeShape | undefined;
  #frameCount = 0;
  #inputCount = 0;
  #at: Partial<Record<Area | WindowArea, number>> = {};

  /** Bytes of its memory. */
  get size(): number {
    return this.#wasm.memory.buffer.byteLength;
  }

  /** Forgets the last merge. Indexes come next, in the order of the inputs. */
  begin(shape: MergeShape): void {
    const memory = this.#memory;
    memory.reset();
    const { inputCount, indexesSize, indexSizeMax } = shape;
    const frameCountMax = Math.ceil(indexesSize / ENTRY_SIZE_MIN);
    this.#shape = shape;
    this.#frameCount = 0;
    this.#inputCount = 0;
    this.#at = {
      scratch: memory.reserve(Math.max(PIECE_SIZE + INDEXED_SIZE_MAX, indexSizeMax)),
      heads: memory.reserve(4 * inputCount),
      stops: memory.reserve(4 * inputCount),
      lengths: memory.reserve(4 * inputCount),
      heap: memory.reserve(8 * inputCount),
      states: memory.reserve(16 * inputCount),
      pgnos: memory.reserve(4 * frameCountMax),
      sizes: memory.reserve(4 * frameCountMax),
    };
  }

  /** The memory to read an index, or a piece of frames, into. Invalid after the next call. */
  scratch(length: number): Uint8Array {
    return this.#memory.bytes(this.#place('scratch'), length);
  }

  /**
   * Adds the next input, whose index, without its end, is the first `length` bytes of `scratch`. False if that index is
   * invalid; then the same input may be added by `addIndex`. `crc` is that of the header.
   */
  parseIndex(length: number, header: LtxHeader, pagesEnd: number, crc: bigint): boolean {
    const at = 4 * this.#frameCount;
    const count = this.#wasm.parseIndex(
      this.#place('scratch'),
      length,
      this.#place('pgnos') + at,
      this.#place('sizes') + at,
      header.commit,
      lockPageNumber(header.pageSize),
      isSnapshot(header) ? 1 : 0,
      pagesEnd,
    );
    if (count < 0) return false;
    this.#add(count, crc);
    return true;
  }

  addIndex(index: PageIndex, crc: bigint): void {
    this.#memory.numbers(this.#place('pgnos') + 4 * this.#frameCount, index.count).set(index.pgnos);
    this.#memory.numbers(this.#place('sizes') + 4 * this.#frameCount, index.count).set(index.sizes);
    this.#add(index.count, crc);
  }

  #add(count: number, crc: bigint): void {
    const from = this.#frameCount;
    const input = this.#inputCount;
    this.#frameCount += count;
    this.#inputCount += 1;
    this.#memory.numbers(this.#place('heads'), input + 1)[input] = from;
    this.#memory.numbers(this.#place('stops'), input + 1)[input] = this.#frameCount;
    const state = this.#memory.view(this.#place('states') + 16 * input, 16);
    state.setBigUint64(0, crc, true);
    state.setBigUint64(8, 0n, true);
  }

  /** Call this after all indexes: lays out the rest. The memory does not grow from here on, so views stay valid. */
  plan(): void {
    const memory = this.#memory;
    const { pageSize, windowSize } = this.#known();
    const countMax = Math.min(this.#frameCount, Math.ceil(windowSize / FRAME_SIZE_MIN) + 1);
    Object.assign(this.#at, {
      places: memory.reserve(4 * this.#frameCount),
      outPgnos: memory.reserve(4 * countMax),
      outSizes: memory.reserve(4 * countMax),
      outOffsets: memory.reserve(4 * countMax),
      checksums: memory.reserve(8 * countMax),
      kinds: memory.reserve(countMax),
      page: memory.reserve(pageSize),
      out: memory.reserve(windowSize + INDEXED_SIZE_MAX),
      otherOut: memory.reserve(windowSize + INDEXED_SIZE_MAX),
    } satisfies Record<WindowArea, number>);
  }

  /** The next window of the output: the next pages of all inputs. Undefined at the end. */
  nextWindow(): (MergedWindow & { readonly parts: readonly FramePart[] }) | undefined {
    const memory = this.#memory;
    const { inputCount, commit, windowSize } = this.#known();
    Object.assign(this.#at, { out: this.#place('otherOut'), otherOut: this.#place('out') });
    const heads = memory.numbers(this.#place('heads'), inputCount);
    const before = heads.slice();
    const count = this.#wasm.planWindow(
      inputCount,
      this.#place('heads'),
      this.#place('stops'),
      this.#place('pgnos'),
      this.#place('sizes'),
      this.#place('places'),
      commit,
      windowSize,
      this.#place('heap'),
      this.#place('lengths'),
      this.#place('outPgnos'),
      this.#place('outSizes'),
      this.#place('outOffsets'),
    );
    const result = memory.view(this.#wasm.resultBase(), 8);
    if (result.getUint32(4, true) === 0) return undefined;
    const lengths = memory.numbers(this.#place('lengths'), inputCount);
    const parts: FramePart[] = [];
    for (let input = 0; input < inputCount; input += 1) {
      const from = before[input] ?? 0;
      const end = heads[input] ?? 0;
      if (end > from) this.#split({ input, from, end, length: lengths[input] ?? 0 }, parts);
    }
    const checksums = memory.bytes(this.#place('checksums'), 8 * count);
    return {
      parts,
      pgnos: memory.numbers(this.#place('outPgnos'), count),
      sizes: memory.numbers(this.#place('outSizes'), count),
      frames: memory.bytes(this.#place('out'), result.getUint32(0, true)),
      checksums: new BigUint64Array(checksums.buffer, checksums.byteOffset, count),
      kinds: memory.bytes(this.#place('kinds'), count),
    };
  }

  /** Splits a part into pieces that fit the scratch memory. */
  #split(part: FramePart, into: FramePart[]): void {
    if (part.length <= PIECE_SIZE) {
      into.push(part);
      return;
    }
    const sizes = this.#memory.numbers(this.#place('sizes'), this.#frameCount);
    let { from } = part;
    let length = 0;
    for (let frame = from; frame < part.end; frame += 1) {
      length += sizes[frame] ?? 0;
      if (length < PIECE_SIZE && frame + 1 < part.end) continue;
      into.push({ input: part.input, from, end: frame + 1, length });
      from = frame + 1;
      length = 0;
    }
  }

  /**
   * Verifies frames that were read into `scratch`, and copies the needed ones to the output of the window. Throws
   * `LtxError`; `place` is their file and offset.
   */
  take(
    { input, from, end, length }: FramePart,
    withPageChecksums: boolean,
    place: { readonly file: string | undefined; readonly offset: number },
  ): void {
    const { pageSize } = this.#known();
    const scratch = this.#place('scratch');
    const taken = this.#wasm.mergeFrames(
      scratch,
      scratch + length,
      end - from,
      pageSize,
      blockSizeMax(pageSize),
      this.#place('page'),
      this.#place('pgnos') + 4 * from,
      this.#place('sizes') + 4 * from,
      this.#place('places') + 4 * from,
      withPageChecksums ? 1 : 0,
      this.#place('states') + 16 * input,
      this.#place('out'),
      this.#place('outOffsets'),
      this.#place('checksums'),
      this.#place('kinds'),
    );
    if (taken === end - from) return;
    const result = this.#memory.view(this.#wasm.resultBase(), 16);
    const fault = result.getUint32(12, true);
    const where = { file: place.file, offset: place.offset + result.getUint32(8, true) };
    if (fault === BAD_INDEX_FAULT) {
      throw new LtxError('BAD_INDEX', 'page index does not list the pages before it', where);
    }
    throw new LtxError('BAD_PAGE', `${DECODE_FAULTS[fault - 2]}`, where);
  }

  /** The running file checksum of an input, and the xor of its page checksums, if requested. */
  checksums(input: number): { readonly crc: bigint; readonly pages: bigint } {
    const state = this.#memory.view(this.#place('states') + 16 * input, 16);
    return { crc: state.getBigUint64(0, true), pages: state.getBigUint64(8, true) };
  }

  #place(area: Area | WindowArea): number {
    const at = this.#at[area];
    if (at === undefined) throw new LtxError('WRONG_STATE', `a merge has no ${area} yet`);
    return at;
  }

  #known(): MergeShape {
    if (this.#shape === undefined) throw new LtxError('WRONG_STATE', 'a merge has not begun');
    return this.#shape;
  }
}

/** Contiguous frames of one input, numbered across all inputs. */
export interface FramePart {
  readonly input: number;
  readonly from: number;
  readonly end: number;
  /** Bytes. */
  readonly length: number;
}

let idle: MergeKernel | undefined;

/** A kernel for one merge: the one that the last merge of this thread returned, or a new one. */
export function borrowMergeKernel(): MergeKernel {
  const kernel = idle ?? new MergeKernel();
  idle = undefined;
  return kernel;
}

export function returnMergeKernel(kernel: MergeKernel): void {
  if (kernel.size <= KEPT_SIZE_MAX) idle = kernel;
}
