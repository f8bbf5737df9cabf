/** Copies a replica with all its restore points to another backend or path. */
import { HEADER_SIZE, TRAILER_SIZE, decodeHeader } from '@litestream/ltx';
import type { LtxHeader } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import { resolveCapabilities } from '../storage/contract/capabilities.ts';
import { resumableSource } from '../storage/reading/resumable-reader.ts';
import type { ResumableOptions } from '../storage/reading/resumable-reader.ts';
import { hasCode, LitestreamError } from '../util/error.ts';
import type { Logger } from '../util/logger.ts';
import { silentLogger } from '../util/logger.ts';
import { ltxName } from '../restore/read/ltx-errors.ts';
import { forEachBounded } from '../util/bounded.ts';
import { chainFaults, statedBy } from '../verify/chain-faults.ts';
import type { StatedFile } from '../verify/chain-faults.ts';
import { verifiedSource } from './verified-source.ts';

export interface CopyOptions extends Op {
  /** Files copied at the same time; those of level 0 go one by one. Default 8. */
  readonly parallelism?: number | undefined;
  /** Only determine what would be copied. */
  readonly dryRun?: boolean | undefined;
  readonly logger?: Logger | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
}

/** Bytes and files of the present round. */
export interface CopyProgress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly filesDone: number;
  readonly filesTotal: number;
}

export interface CopyResult {
  /** In the order in which they were, or with `dryRun` would be, copied. */
  readonly copied: readonly LtxFileInfo[];
  /** Files that were there already. */
  readonly present: number;
  /** Bytes of the files that were copied. */
  readonly size: number;
  /** Copied files that contradict each other: one states another database than the other. */
  readonly contradictions: readonly string[];
}

const LEVELS = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0];
/**
 * A replica in use gains files during the copy; files that are new after this many rounds are left for a later call.
 */
const ROUNDS_MAX = 5;

/**
 * Copies every file of `source` that `target` lacks, snapshots first and level 0 in order, so that a copy that ends
 * early can be restored, and another call can continue it. Each file is verified as it is copied: the target only gets
 * files that have the checksum that they state. Nothing is deleted.
 *
 * Compares the database checksums that the copied files state. The result names the files that contradict each other.
 *
 * A source in use may gain and lose files meanwhile; the copy lists it again until it has everything.
 *
 * @throws LitestreamError `REPLICA_EMPTY` if there is nothing to copy, `ALREADY_EXISTS` if `target` holds another
 *   timeline, `LTX_CORRUPT` or `CHECKSUM_MISMATCH` with the name of a damaged file.
 */
export async function copyReplica(
  source: ReplicaClient,
  target: ReplicaClient,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const { logger = silentLogger, signal } = options;
  const copied: LtxFileInfo[] = [];
  const stated: StatedFile[] = [];
  let present = 0;
  for (let round = 1; round <= ROUNDS_MAX; round++) {
    const { missing, shared } = await compare(source, target, { signal });
    if (round === 1) present = shared;
    if (options.dryRun === true) return { copied: missing, present, size: sizeOf(missing), contradictions: [] };
    if (missing.length === 0) break;
    logger.debug('copy', { round, files: missing.length, size: sizeOf(missing) });
    const onStated = (each: StatedFile): void => void stated.push(each);
    for (const file of await copyFiles(source, target, missing, { ...options, onStated })) copied.push(file);
  }
  const contradictions = chainFaults(stated).map(({ message }) => message);
  return { copied, present, size: sizeOf(copied), contradictions };
}

/** The files that the target lacks. Refuses a target whose files are not the source's. */
async function compare(
  source: ReplicaClient,
  target: ReplicaClient,
  op: Op,
): Promise<{ missing: LtxFileInfo[]; shared: number }> {
  const missing: LtxFileInfo[] = [];
  let shared = 0;
  let lastOfSource = 0n;
  let lastOfTarget: LtxFileInfo | undefined;
  for (const level of LEVELS) {
    const files = await Array.fromAsync(source.ltxFiles(level, { ...op, useMetadata: true }));
    const there = new Map<string, LtxFileInfo>();
    for await (const file of target.ltxFiles(level, op)) {
      there.set(ltxName(file), file);
      if (file.maxTxid > (lastOfTarget?.maxTxid ?? 0n)) lastOfTarget = file;
    }
    let lastShared: LtxFileInfo | undefined;
    for (const file of files) {
      if (file.maxTxid > lastOfSource) lastOfSource = file.maxTxid;
      const twin = there.get(ltxName(file));
      if (twin === undefined) {
        missing.push(file);
        continue;
      }
      if (twin.size !== file.size) {
        throw otherTimelineError(`${ltxName(file)} has ${twin.size} bytes there and ${file.size} bytes here`, target);
      }
      lastShared = file;
      shared += 1;
    }
    if (lastShared !== undefined && !(await sameTrailer(source, target, lastShared, op))) {
      throw otherTimelineError(`${ltxName(lastShared)} has another checksum there`, target);
    }
  }
  if (lastOfSource === 0n) {
    throw new LitestreamError('the source replica has no files', {
      code: 'REPLICA_EMPTY',
      operation: 'copy',
      backend: source.type,
      hint: 'Check its path, and that a database was replicated to it.',
    });
  }
  if (lastOfTarget !== undefined && lastOfTarget.maxTxid > lastOfSource) {
    throw otherTimelineError(`it holds ${ltxName(lastOfTarget)}, which lies beyond the source`, target);
  }
  return { missing, shared };
}

/** Do the files of both sides end with the same checksums? Files of two databases can have the same name and size. */
async function sameTrailer(source: ReplicaClient, target: ReplicaClient, file: LtxFileInfo, op: Op): Promise<boolean> {
  const [here, there] = await Promise.all(
    [source, target].map(async (client) => {
      const { version: _, ...info } = file;
      return await readPart(client, info, { ...op, offset: file.size - TRAILER_SIZE, size: TRAILER_SIZE });
    }),
  );
  return here !== undefined && there !== undefined && here.equals(there);
}

async function readPart(client: ReplicaClient, file: LtxFileInfo, range: ResumableOptions): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of resumableSource(client, file, range)) parts.push(chunk.slice());
  return Buffer.concat(parts);
}

function otherTimelineError(what: string, target: ReplicaClient): LitestreamError {
  return new LitestreamError(`the target replica holds another timeline: ${what}`, {
    code: 'ALREADY_EXISTS',
    operation: 'copy',
    backend: target.type,
    hint: 'Copy to an empty path.',
  });
}

async function copyFiles(
  source: ReplicaClient,
  target: ReplicaClient,
  files: readonly LtxFileInfo[],
  options: CopyOptions & { readonly onStated: (stated: StatedFile) => void },
): Promise<LtxFileInfo[]> {
  const { signal, parallelism = 8, logger = silentLogger, onProgress } = options;
  const copied: LtxFileInfo[] = [];
  const bytesTotal = sizeOf(files);
  let bytesDone = 0;
  let filesDone = 0;
  const report = (): void => onProgress?.({ bytesDone, bytesTotal, filesDone, filesTotal: files.length });
  for (const level of LEVELS) {
    const ofLevel = files.filter((file) => file.level === level);
    // A gap at level 0 would keep a restore from everything behind it, so these go in order.
    await forEachBounded(ofLevel, level === 0 ? 1 : parallelism, async (file) => {
      signal?.throwIfAborted();
      try {
        const onBytes = (bytes: number): void => {
          bytesDone += bytes;
          report();
        };
        const header = await copyFile(source, target, file, { signal }, onBytes);
        if (header !== undefined) options.onStated(statedBy(file, header));
        copied.push(file);
      } catch (error) {
        // Retention or a compaction deleted it: the next round lists the file that replaced it.
        if (!hasCode(error, 'NOT_FOUND')) throw error;
        logger.debug('file was deleted while it was to be copied', { file: ltxName(file) });
      }
      filesDone += 1;
      report();
    });
  }
  return copied;
}

async function copyFile(
  source: ReplicaClient,
  target: ReplicaClient,
  file: LtxFileInfo,
  op: Op,
  onBytes: (bytes: number) => void,
): Promise<LtxHeader | undefined> {
  let header: LtxHeader | undefined;
  const timestamp = await commitTime(source, file, op);
  const open = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    let sent = 0;
    try {
      for await (const chunk of verifiedSource(resumableSource(source, file, op), file, (found) => (header = found))) {
        sent += chunk.byteLength;
        onBytes(chunk.byteLength);
        yield chunk;
      }
      sent = 0;
    } finally {
      // A failed attempt starts again from the first byte.
      if (sent > 0) onBytes(-sent);
    }
  };
  await target.writeLtxFile({ ...file, timestamp }, { size: file.size, open }, op);
  return header;
}

/**
 * Time of the last commit in the file, to the millisecond: from the backend's metadata, or else from the file's header.
 */
async function commitTime(source: ReplicaClient, file: LtxFileInfo, op: Op): Promise<Date> {
  const { timestamps, timestampResolutionMs } = resolveCapabilities(source.capabilities);
  if (timestamps !== 'none' && timestampResolutionMs <= 1) return file.timestamp;
  const header = await readPart(source, file, { ...op, size: HEADER_SIZE });
  const { timestampMs } = decodeHeader(header, { file: ltxName(file) });
  return new Date(timestampMs);
}

function sizeOf(files: readonly LtxFileInfo[]): number {
  return files.reduce((total, { size }) => total + size, 0);
}
