/**
 * Merges the files of one level into the level above, through the client alone. A local copy of a file, where there is
 * one, is read instead of the remote object: it is faster, and a slow or eventually consistent store cannot serve it
 * stale. Behaviour after upstream's `compactor.go`; gaps are refused when a file is written, not found at a restore.
 */
import { decodeHeader, formatTxid, HEADER_SIZE, isLtxError, mergeLtx } from '@litestream/ltx';
import type { LtxHeader } from '@litestream/ltx';
import type { Body, LtxFileInfo, LtxFileRef, Op, ReplicaClient } from '../client/contract.ts';
import { resumableSource } from '../client/resumable-reader.ts';
import { LitestreamError } from '../error.ts';
import { silentLogger } from '../logger.ts';
import type { Logger } from '../logger.ts';
import { compactionInputs, INPUTS_MAX } from './compaction-inputs.ts';
import { LevelTops } from './level-tops.ts';
import { SNAPSHOT_LEVEL } from './levels.ts';

/** Local copies of LTX files, an optional cache. */
export interface LocalFiles {
  /** The bytes of a copy of just this size, or undefined if there is none. */
  open(file: LtxFileInfo): AsyncIterable<Uint8Array> | undefined;
}

export interface CompactorOptions {
  readonly logger?: Logger | undefined;
  readonly local?: LocalFiles | undefined;
  /** Shared with whoever else writes to the same replica, so that nobody lists a level to learn what is known. */
  readonly tops?: LevelTops | undefined;
  readonly inputsMax?: number | undefined;
}

export class Compactor {
  readonly #client: ReplicaClient;
  readonly #logger: Logger;
  readonly #local: LocalFiles | undefined;
  readonly #inputsMax: number;
  readonly tops: LevelTops;

  constructor(client: ReplicaClient, options: CompactorOptions = {}) {
    this.#client = client;
    this.#logger = options.logger ?? silentLogger;
    this.#local = options.local;
    this.#inputsMax = options.inputsMax ?? INPUTS_MAX;
    this.tops = options.tops ?? new LevelTops(client);
  }

  /**
   * Merges what level `level - 1` has beyond the end of `level` and stores the result. Returns the files written, in
   * order: none if there is nothing new, more than one where a page size changes or the inputs are too many for one.
   *
   * @throws LitestreamError `REPLICA_GAP` if the inputs are not one unbroken chain; `LTX_CORRUPT` if one is damaged.
   */
  async compact(level: number, op: Op = {}): Promise<readonly LtxFileInfo[]> {
    if (level < 1 || level >= SNAPSHOT_LEVEL) {
      throw new LitestreamError(`cannot compact into level ${level}`, { code: 'INVALID_ARGUMENT' });
    }
    let top = (await this.tops.get(level, op))?.maxTxid ?? 0n;
    let pending = await collect(this.#client.ltxFiles(level - 1, { seek: top + 1n, ...op }));
    if (pending.length === 0) return [];
    const snapshots = await this.#snapshotEnds(pending, top, op);

    const written: LtxFileInfo[] = [];
    while (pending.length > 0) {
      const inputs = compactionInputs(pending, { top, snapshots, inputsMax: this.#inputsMax });
      const merged = await this.#mergeRun(level, inputs, op);
      this.tops.set(level, merged);
      written.push(merged);
      top = merged.maxTxid;
      pending = pending.filter((file) => file.minTxid > top);
    }
    return written;
  }

  /** Merges one run, or as much of it as has one page size. A damaged local copy is passed over for the remote file. */
  async #mergeRun(level: number, inputs: readonly LtxFileInfo[], op: Op): Promise<LtxFileInfo> {
    try {
      return await this.#merge(level, inputs, this.#local, op);
    } catch (error) {
      if (!isLtxError(error)) throw error;
      const count = error.code === 'NOT_CONTIGUOUS' ? await this.#samePageSize(inputs, op) : inputs.length;
      if (count < inputs.length) {
        this.#logger.info('page size changed, compacting up to the change', { level, files: count });
      } else if (this.#local === undefined) {
        throw error;
      } else {
        this.#logger.warn('local ltx file is damaged, reading the replica instead', { level, error: error.message });
      }
      return await this.#merge(level, inputs.slice(0, count), undefined, op);
    }
  }

  async #merge(
    level: number,
    inputs: readonly LtxFileInfo[],
    local: LocalFiles | undefined,
    op: Op,
  ): Promise<LtxFileInfo> {
    const [first] = inputs;
    const last = inputs.at(-1);
    if (first === undefined || last === undefined) {
      throw new LitestreamError('a compaction needs at least one file', { code: 'INTERNAL' });
    }
    const open = (): AsyncIterable<Uint8Array> =>
      mergeLtx(
        inputs.map((file) => ({
          source: local?.open(file) ?? resumableSource(this.#client, file, op),
          file: nameOf(file),
        })),
      );

    // The header of the merged file, its first chunk, holds the time under which the file has to be stored.
    const started = open()[Symbol.asyncIterator]();
    const head = await started.next();
    if (head.done === true) throw new LitestreamError('a merge gave no bytes', { code: 'INTERNAL' });
    let resumable: AsyncIterable<Uint8Array> | undefined = continued(head.value, started);
    const body: Body = {
      open: () => {
        const stream = resumable ?? open();
        resumable = undefined; // a retry begins again from the inputs
        return stream;
      },
    };
    const timestamp = new Date(decodeHeader(head.value.subarray(0, HEADER_SIZE)).timestampMs);
    try {
      return await this.#client.writeLtxFile(
        { level, minTxid: first.minTxid, maxTxid: last.maxTxid, timestamp },
        body,
        op,
      );
    } finally {
      if (resumable !== undefined) await started.return?.();
    }
  }

  /** How many of the first inputs share the page size of the first one. */
  async #samePageSize(inputs: readonly LtxFileInfo[], op: Op): Promise<number> {
    let pageSize: number | undefined;
    for (const [index, file] of inputs.entries()) {
      const header = await this.#header(file, op);
      if (pageSize !== undefined && header.pageSize !== pageSize) return index;
      pageSize = header.pageSize;
    }
    return inputs.length;
  }

  async #header(file: LtxFileInfo, op: Op): Promise<LtxHeader> {
    const bytes = new Uint8Array(HEADER_SIZE);
    let length = 0;
    for await (const chunk of this.#local?.open(file) ??
      resumableSource(this.#client, file, { size: HEADER_SIZE, ...op })) {
      const part = chunk.subarray(0, HEADER_SIZE - length);
      bytes.set(part, length);
      length += part.length;
      if (length === HEADER_SIZE) break;
    }
    return decodeHeader(bytes.subarray(0, length));
  }

  /** Asked only where it matters: the chain has a break, and a snapshot may stand behind it. */
  async #snapshotEnds(pending: readonly LtxFileInfo[], top: bigint, op: Op): Promise<readonly bigint[]> {
    const unbroken = pending.every((file, index) => file.minTxid === (pending[index - 1]?.maxTxid ?? top) + 1n);
    if (unbroken || (top === 0n && pending.length === 1)) return [];
    const snapshots = await collect(this.#client.ltxFiles(SNAPSHOT_LEVEL, op));
    return snapshots.map((snapshot) => snapshot.maxTxid);
  }
}

async function* continued(head: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    yield head;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

async function collect(files: AsyncIterable<LtxFileInfo>): Promise<readonly LtxFileInfo[]> {
  return await Array.fromAsync(files);
}

function nameOf(file: LtxFileRef): string {
  return `level ${file.level} ${formatTxid(file.minTxid)}-${formatTxid(file.maxTxid)}`;
}
