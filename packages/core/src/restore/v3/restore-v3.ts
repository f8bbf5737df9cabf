/** Restores a replica of Litestream v0.3: a snapshot of the database file, and the WALs after it. */
import { fstatSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { ReplicaClient } from '../../storage/contract/contract.ts';
import { isLitestreamError } from '../../util/error.ts';
import { openReplacing } from '../../files/safe-files.ts';
import { removeSidecars } from '../write/target-record.ts';
import { silentLogger } from '../../util/logger.ts';
import { finishOutput } from '../write/finish-output.ts';
import { corrupt, fault } from '../read/ltx-errors.ts';
import { Output } from '../write/output.ts';
import { NO_DOUBTS } from '../plan/time-doubts.ts';
import type { RestoreOptions, RestoreResult } from '../plan/restore-options.ts';
import { applyWal, databasePageSize } from './apply-log.ts';
import { timeOf } from './listing.ts';
import type { V3File } from './listing.ts';
import { decodeLz4Frames } from './lz4-frames.ts';
import { gapV3 } from './plan-v3.ts';
import type { V3Plan } from './plan-v3.ts';
import { readAhead } from './read-ahead.ts';

/** Rejects with the errors of `restore`. */
export async function restoreV3(client: ReplicaClient, plan: V3Plan, options: RestoreOptions): Promise<RestoreResult> {
  const { snapshot, segments } = plan;
  const logger = options.logger ?? silentLogger;
  logger.debug('selected v0.3.x snapshot', {
    generation: snapshot.generation,
    index: snapshot.index,
    created_at: snapshot.object.lastModified,
  });
  logger.debug('found v0.3.x WAL segments', { n: segments.length });
  const startMs = performance.now();
  await using output = await Output.create(options.output, options.overwrite ?? false);
  const run = new V3Run(client, plan, options, output);
  const pageSize = await run.write();
  const writtenMs = performance.now();
  const { size } = fstatSync(output.descriptor);
  const pageCount = pageSize === 0 ? 0 : size / pageSize;
  const done = { bytes: plan.size, pages: pageCount };
  const times = await finishOutput(output, options, done, () => removeSidecars(options.output));
  return {
    output: options.output,
    txid: 0n,
    timestamp: new Date(Math.max(timeOf(snapshot), ...segments.slice(-1).map(timeOf))),
    format: 'v0.3',
    pageSize,
    pageCount,
    size,
    plan: [],
    inputSize: plan.size,
    proven: false,
    timeDoubts: NO_DOUBTS,
    planDurationMs: 0,
    writeDurationMs: writtenMs - startMs,
    ...times,
  };
}

/** A WAL that is assembled from its segments. */
interface OpenWal {
  readonly handle: FileHandle;
  readonly index: number;
  size: number;
}

class V3Run {
  readonly #client: ReplicaClient;
  readonly #plan: V3Plan;
  readonly #options: RestoreOptions;
  readonly #output: Output;
  readonly #walPath: string;
  #bytesDone = 0;
  #pagesDone = 0;

  constructor(client: ReplicaClient, plan: V3Plan, options: RestoreOptions, output: Output) {
    this.#client = client;
    this.#plan = plan;
    this.#options = options;
    this.#output = output;
    this.#walPath = `${output.temporaryPath}-log`;
  }

  /** Resolves with the page size; 0 for an empty database. */
  async write(): Promise<number> {
    const { snapshot, segments } = this.#plan;
    await this.#writeSnapshot(snapshot);
    const pageSize = this.#checkSnapshot(snapshot);
    let log: OpenWal | undefined;
    try {
      const { signal } = this.#options;
      for await (const { file, bytes } of readAhead(this.#client, segments, signal)) {
        if (log?.index !== file.index) {
          if (log !== undefined) await this.#applyWal(log);
          log = { handle: await this.#openWal(), index: file.index, size: 0 };
        }
        if (file.offset !== log.size) {
          throw gapV3(file, `its WAL has ${log.size} bytes so far, and it starts at byte ${file.offset}`);
        }
        const size = await this.#append(file, bytes, log.handle, log.size);
        log.size += size;
        const { generation, index, offset } = file;
        this.#options.logger?.debug('wrote WAL segment', { generation, index, offset, bytes: size });
      }
      if (log !== undefined) await this.#applyWal(log);
      log = undefined;
    } finally {
      await log?.handle.close();
      await rm(this.#walPath, { force: true });
    }
    return pageSize;
  }

  async #writeSnapshot(snapshot: V3File): Promise<void> {
    const { signal } = this.#options;
    let position = 0;
    for await (const { bytes } of readAhead(this.#client, [snapshot], signal)) {
      for await (const content of decodeLz4Frames(this.#counted(bytes), snapshot.object.key)) {
        signal?.throwIfAborted();
        await this.#output.write(content, position);
        position += content.length;
      }
    }
  }

  #checkSnapshot(snapshot: V3File): number {
    const { size } = fstatSync(this.#output.descriptor);
    const pageSize = databasePageSize(this.#output.descriptor);
    if (size === 0) return 0;
    const isPageSize = pageSize >= 512 && (pageSize & (pageSize - 1)) === 0;
    if (!isPageSize || size % pageSize !== 0) throw corrupt(snapshot.object.key, 'does not hold a SQLite database');
    this.#pagesDone = size / pageSize;
    return pageSize;
  }

  async #openWal(): Promise<FileHandle> {
    try {
      return await openReplacing(this.#walPath);
    } catch (error) {
      throw fault(this.#walPath, error);
    }
  }

  async #append(file: V3File, bytes: AsyncIterable<Uint8Array>, handle: FileHandle, position: number): Promise<number> {
    let size = 0;
    for await (const content of decodeLz4Frames(this.#counted(bytes), file.object.key)) {
      this.#options.signal?.throwIfAborted();
      try {
        for (let done = 0; done < content.length;) {
          const at = position + size + done;
          done += (await handle.write(content, done, content.length - done, at)).bytesWritten;
        }
      } catch (error) {
        throw fault(this.#walPath, error);
      }
      size += content.length;
    }
    return size;
  }

  async #applyWal({ handle, index, size: bytes }: OpenWal): Promise<void> {
    await handle.close();
    const name = `WAL ${index.toString(16).padStart(8, '0')} of generation ${this.#plan.snapshot.generation}`;
    const { signal } = this.#options;
    try {
      this.#pagesDone += await applyWal({ path: this.#walPath, name }, this.#output.descriptor, {
        truncate: (size) => this.#output.truncate(size),
        signal,
      });
    } catch (error) {
      if (isLitestreamError(error) || signal?.aborted === true) throw error;
      throw fault(this.#output.temporaryPath, error);
    }
    this.#options.logger?.debug('applied WAL index', { generation: this.#plan.snapshot.generation, index, bytes });
  }

  async *#counted(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of bytes) {
      yield chunk;
      this.#bytesDone += chunk.length;
      const progress = { bytesDone: this.#bytesDone, bytesTotal: this.#plan.size, pagesDone: this.#pagesDone };
      this.#options.onProgress?.({ phase: 'write', ...progress });
    }
  }
}
