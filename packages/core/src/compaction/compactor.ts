/**
 * Merges the files of one level into the level above, through the client alone. A local copy of a file, where there is
 * one, is read instead of the remote object: it is faster, and an eventually consistent store cannot serve it stale.
 * Behaves like `compactor.go` of Litestream (Go), except that gaps are refused when a file is written, not found at a
 * restore.
 */
import { decodeHeader, HEADER_SIZE, isLtxError } from '@litestream/ltx';
import type { LtxError, TXID } from '@litestream/ltx';
import type { Body, LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import { readLtxHeader } from '../storage/reading/read-header.ts';
import { systemClock } from '../util/clock.ts';
import type { Clock } from '../util/clock.ts';
import { LitestreamError } from '../util/error.ts';
import { silentLogger } from '../util/logger.ts';
import type { Logger } from '../util/logger.ts';
import { compactionInputs, INPUTS_MAX } from './compaction-inputs.ts';
import { fileName } from './contiguity.ts';
import { NewestOfLevel } from './newest-of-level.ts';
import { mergeInputs } from './merge-inputs.ts';
import { isSnapshotFile, SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';

/** Local copies of LTX files, an optional cache. */
export interface LocalFiles {
  /** Path of a copy of just this size, or undefined if there is none. */
  path(file: LtxFileInfo): string | undefined;
  /**
   * This replica needs no local file that ends before `txid`; those written before `before` may be deleted once no
   * other replica needs them. Returns how many were deleted, and how many remain.
   */
  release?(upTo: ReleasedUpTo): { readonly deleted: number; readonly left: number };
}

export interface ReleasedUpTo {
  readonly txid: TXID;
  readonly before: Date;
  /** Files up to this TXID are old, even if their timestamps are newer. */
  readonly seenTo?: TXID | undefined;
  /** Called with each file just before it is deleted. */
  readonly deleting?:
    | ((file: { readonly minTxid: TXID; readonly maxTxid: TXID; readonly path: string }) => void)
    | undefined;
}

/** Transactions that no readable file of a level holds any more: a snapshot replaces them. */
export interface Gap {
  readonly kind: 'gap' | 'damaged file';
  readonly level: number;
  readonly minTxid: TXID;
  readonly maxTxid: TXID;
}

export interface CompactorOptions {
  readonly logger?: Logger | undefined;
  readonly local?: LocalFiles | undefined;
  /**
   * Shared by everything in this process that writes to the same replica, so that no level is listed to learn what is
   * known.
   */
  readonly tops?: NewestOfLevel | undefined;
  readonly inputsMax?: number | undefined;
  readonly clock?: Clock | undefined;
  /** Called with the first file of another page size than those before it: only a snapshot can be a base for it. */
  readonly onPageSizeChange?: ((file: LtxFileInfo) => void) | undefined;
  /** Called for each gap that a compaction skips; again if the compaction is repeated. */
  readonly onGap?: ((gap: Gap) => void) | undefined;
}

export class Compactor {
  readonly #client: ReplicaClient;
  readonly #logger: Logger;
  readonly #local: LocalFiles | undefined;
  readonly #inputsMax: number;
  readonly #clock: Clock;
  readonly #onPageSizeChange: ((file: LtxFileInfo) => void) | undefined;
  readonly #onGap: ((gap: Gap) => void) | undefined;
  readonly tops: NewestOfLevel;

  constructor(client: ReplicaClient, options: CompactorOptions = {}) {
    this.#client = client;
    this.#logger = options.logger ?? silentLogger;
    this.#local = options.local;
    this.#inputsMax = options.inputsMax ?? INPUTS_MAX;
    this.#clock = options.clock ?? systemClock;
    this.#onPageSizeChange = options.onPageSizeChange;
    this.#onGap = options.onGap;
    this.tops = options.tops ?? new NewestOfLevel(client);
  }

  /**
   * Merges what level `level - 1` has beyond the end of `level` and stores the result. Returns the files written, in
   * order: none if there is nothing new, more than one where a chain breaks or the inputs are too many for one.
   *
   * @throws LitestreamError `REPLICA_GAP` if the inputs are not one unbroken chain, `LTX_CORRUPT` if one is damaged;
   *   both only where no snapshot replaces the missing files. Files written until then stay.
   */
  async compact(level: number, op: Op = {}): Promise<readonly LtxFileInfo[]> {
    if (level < 1 || level >= SNAPSHOT_LEVEL) {
      throw new LitestreamError(`cannot compact into level ${level}`, { code: 'INVALID_ARGUMENT' });
    }
    let top = (await this.tops.get(level, op))?.maxTxid ?? 0n;
    // Uploads write to level 0, and they do not update `tops`.
    const isSourceKnown = level > 1 && this.tops.isKnown(level - 1);
    if (isSourceKnown && ((await this.tops.get(level - 1, op))?.maxTxid ?? 0n) <= top) return [];
    let pending = await Array.fromAsync(this.#client.ltxFiles(level - 1, { seek: top + 1n, ...op }));
    const snapshots = isUnbroken(pending, top) ? [] : await this.#snapshotEnds(op);
    const written: LtxFileInfo[] = [];
    while (pending.length > 0) {
      const inputs = compactionInputs(pending, { top, snapshots, inputsMax: this.#inputsMax });
      const next = inputs[0]?.minTxid ?? 0n;
      if (top > 0n && next > top + 1n) {
        this.#onGap?.({ kind: 'gap', level: level - 1, minTxid: top + 1n, maxTxid: next - 1n });
      }
      const merged = await this.#mergeRun(level, inputs, op);
      written.push(...merged.written);
      top = merged.reached;
      pending = pending.filter((file) => file.minTxid > top);
    }
    return written;
  }

  /** Merges one run, or as much of it as can be: up to a change of page size, or up to a damaged file and past it. */
  async #mergeRun(
    level: number,
    inputs: readonly LtxFileInfo[],
    op: Op,
  ): Promise<{ readonly written: readonly LtxFileInfo[]; readonly reached: TXID }> {
    const merged = await this.#mergeOrFail(level, inputs, op);
    if ('maxTxid' in merged) return { written: [merged], reached: merged.maxTxid };
    // The files before the fault are merged first, and may have other faults; the rest is the next run.
    if (merged.code === 'NOT_CONTIGUOUS') {
      const count = await this.#samePageSize(inputs, op);
      const change = inputs[count];
      if (change === undefined) throw corrupt(inputs[0], merged);
      this.#logger.info('page size changed, compacting up to the change', { level, files: count });
      this.#onPageSizeChange?.(change);
      return await this.#mergeRun(level, inputs.slice(0, count), op);
    }
    const at = inputs.findIndex((file) => fileName(file) === merged.file);
    const damaged = inputs[at];
    if (damaged === undefined) throw corrupt(inputs[0], merged);
    const snapshots = await this.#snapshotEnds(op);
    if (!snapshots.some((end) => end >= damaged.maxTxid)) throw corrupt(damaged, merged);
    if (at > 0) return await this.#mergeRun(level, inputs.slice(0, at), op);
    this.#onGap?.({ ...damaged, kind: 'damaged file' });
    return { written: [], reached: damaged.maxTxid };
  }

  /**
   * The merged file, or the fault of an input on the replica. If a local copy is damaged, the remote file is read
   * instead.
   */
  async #mergeOrFail(level: number, inputs: readonly LtxFileInfo[], op: Op): Promise<LtxFileInfo | LtxError> {
    const damaged = new Set<string>();
    for (;;) {
      const read = new Set<string>();
      const local = (file: LtxFileInfo): string | undefined => {
        const name = fileName(file);
        const path = damaged.has(name) ? undefined : this.#local?.path(file);
        if (path !== undefined) read.add(name);
        return path;
      };
      try {
        return await this.#merge(level, inputs, op, local);
      } catch (error) {
        if (!isLtxError(error)) throw error;
        const { file = '' } = error;
        if (error.code === 'NOT_CONTIGUOUS' || !read.has(file)) return error;
        damaged.add(file); // each is skipped once, so this ends
        this.#logger.warn('local ltx file is damaged, reading the replica instead', { level, error: error.message });
      }
    }
  }

  async #merge(
    level: number,
    inputs: readonly LtxFileInfo[],
    op: Op,
    local?: LocalFiles['path'],
  ): Promise<LtxFileInfo> {
    const [first] = inputs;
    const last = inputs.at(-1);
    if (first === undefined || last === undefined) {
      throw new LitestreamError('a compaction needs at least one file', { code: 'INTERNAL' });
    }
    const open = (): AsyncGenerator<Uint8Array> =>
      mergeInputs(this.#client, inputs, { local, clock: this.#clock, ...op });

    // The header of the merged file, its first chunk, has the time with which the file must be stored.
    const started = open();
    const head = await started.next();
    if (head.done === true) throw new LitestreamError('a merge gave no bytes', { code: 'INTERNAL' });
    const header = decodeHeader(head.value.subarray(0, HEADER_SIZE));
    if (header.minTxid !== first.minTxid || header.maxTxid !== last.maxTxid) {
      await started.return(undefined);
      throw corrupt(first, new Error(`the merged file would hold other transactions than its inputs' names say`));
    }
    let resumable: AsyncIterable<Uint8Array> | undefined = continued(head.value, started);
    const body: Body = {
      sizeMax: mergedSizeMax(inputs),
      readAhead: true,
      open: () => {
        const stream = resumable ?? open();
        resumable = undefined; // a retry begins again from the inputs
        return stream;
      },
    };
    const file = { level, minTxid: first.minTxid, maxTxid: last.maxTxid, timestamp: new Date(header.timestampMs) };
    try {
      const written = await this.#client.writeLtxFile(file, body, op);
      this.tops.set(level, written);
      return written;
    } finally {
      if (resumable !== undefined) await started.return(undefined);
    }
  }

  /** How many of the first inputs share the page size of the first one. */
  async #samePageSize(inputs: readonly LtxFileInfo[], op: Op): Promise<number> {
    let pageSize: number | undefined;
    for (const [index, file] of inputs.entries()) {
      const header = await readLtxHeader(this.#client, file, { clock: this.#clock, ...op });
      if (pageSize !== undefined && header.pageSize !== pageSize) return index;
      pageSize = header.pageSize;
    }
    return inputs.length;
  }

  /** Asked only where it matters: the chain has a break, and a snapshot may reach past it. */
  async #snapshotEnds(op: Op): Promise<readonly TXID[]> {
    const snapshots = await Array.fromAsync(this.#client.ltxFiles(SNAPSHOT_LEVEL, op));
    const newest = await this.tops.get(SNAPSHOT_LEVEL, op); // a listing may lag behind what was just written
    const known = [...snapshots, ...(newest === undefined ? [] : [newest])];
    return known.filter(isSnapshotFile).map(({ maxTxid }) => maxTxid);
  }
}

/**
 * Pages are copied without recompression, so a merge is no larger than its inputs, or hardly, where old files use LZ4
 * frames.
 */
function mergedSizeMax(inputs: readonly LtxFileInfo[]): number {
  return Math.ceil(inputs.reduce((total, { size }) => total + size, 0) * 1.1) + 2 ** 20;
}

/** An empty level accepts any first file: what came before it has expired. */
function isUnbroken(pending: readonly LtxFileInfo[], top: TXID): boolean {
  return pending.every((file, index) => {
    const before = pending[index - 1]?.maxTxid ?? top;
    return before === 0n || file.minTxid === before + 1n;
  });
}

function corrupt(file: LtxFileInfo | undefined, cause: Error): LitestreamError {
  return new LitestreamError(`a file of the replica is damaged: ${cause.message}`, {
    code: 'LTX_CORRUPT',
    operation: 'compact',
    object: file === undefined ? undefined : fileName(file),
    hint: 'A new snapshot replaces it; litestream takes one by itself while it replicates this database.',
    cause,
  });
}

async function* continued(head: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    yield head;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}
