/**
 * Validates a replica: is each level one unbroken chain, can its newest state be restored, and do the files match their
 * names and checksums? Only reads. Like `ValidateLevel` of Litestream (Go), which only checks contiguity.
 */
import { formatTxid, isLtxError, verifyLtx } from '@litestream/ltx';
import type { LtxHeader, TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import { resumableSource } from '../storage/reading/resumable-reader.ts';
import type { Clock } from '../util/clock.ts';
import { hasCode } from '../util/error.ts';
import { extendChain } from '../restore/plan/chain.ts';
import { contiguityFaults, describeFault, fileName } from '../compaction/contiguity.ts';
import { isSnapshotFile, SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';

export interface ValidationFault {
  readonly kind: 'gap' | 'overlap' | 'order' | 'corrupt' | 'no-base';
  readonly level: number;
  /** Name of the file at fault, or of the file behind the gap. */
  readonly file: string | undefined;
  readonly message: string;
}

export interface ValidationReport {
  readonly faults: readonly ValidationFault[];
  /** A fault prevents a later state from being restored, until a new snapshot is taken. */
  readonly snapshotNeeded: boolean;
  readonly filesListed: number;
  /** Files that were read completely and checked against their own checksum. */
  readonly filesVerified: number;
}

export interface ValidationOptions extends Op {
  /** Files to read completely, per replica, chosen at random; `all` reads every file. Default 2. */
  readonly sample?: number | 'all' | undefined;
  /** Last transaction that is known to have been on the replica: the replica must still reach it. */
  readonly confirmed?: TXID | undefined;
  /** Chooses the sample: returns a number in [0, 1). */
  readonly random?: (() => number) | undefined;
  readonly clock?: Clock | undefined;
  /** Called for each file that was read to its end; without a header if it is damaged or the file no longer exists. */
  readonly onFile?: ((file: LtxFileInfo, header: LtxHeader | undefined) => void) | undefined;
}

interface Listing {
  readonly levels: readonly (readonly LtxFileInfo[])[];
  readonly snapshots: readonly LtxFileInfo[];
  readonly all: readonly LtxFileInfo[];
}

/**
 * The full check of a replica is `sample: 'all'`. Needs no database, and may run beside a live `litestream`: a fault in
 * the listings is reported only if a second listing confirms it, since compaction and retention between two listings
 * look the same.
 */
export async function validateReplica(
  client: ReplicaClient,
  options: ValidationOptions = {},
): Promise<ValidationReport> {
  const op = { signal: options.signal, clock: options.clock };
  const confirmed = options.confirmed ?? 0n;
  let listing = await list(client, op);
  let faults = listingFaults(listing, confirmed);
  if (faults.length > 0) {
    listing = await list(client, op);
    faults = listingFaults(listing, confirmed);
  }
  const { all } = listing;
  const chosen = options.sample === 'all' ? all : draw(all, options.sample ?? 2, options.random ?? Math.random);
  const corrupt: { readonly fault: ValidationFault; readonly file: LtxFileInfo }[] = [];
  let filesVerified = 0;
  for (const file of chosen) {
    let header: LtxHeader | undefined;
    const fault = await fileFault(client, file, { ...op, onHeader: (found) => (header = found) });
    options.onFile?.(file, header);
    if (fault === 'gone') continue;
    filesVerified += 1;
    if (fault !== undefined) corrupt.push({ fault, file });
  }
  const corruptFiles = new Set(corrupt.map(({ file }) => file));
  const sound = listing.snapshots.filter((snapshot) => !corruptFiles.has(snapshot));
  const base = lastTxid(sound);
  return {
    faults: [...faults, ...corrupt.map(({ fault }) => fault)],
    snapshotNeeded:
      faults.some(({ kind }) => kind === 'gap' || kind === 'no-base') ||
      corrupt.some(({ file }) => file.maxTxid > base),
    filesListed: all.length,
    filesVerified,
  };
}

/** After a compaction: is the level one unbroken chain, and are the new files readable and valid? */
export async function verifyLevel(
  client: ReplicaClient,
  level: number,
  written: readonly LtxFileInfo[],
  op: Op & { readonly clock?: Clock | undefined },
): Promise<readonly ValidationFault[]> {
  const files = await Array.fromAsync(client.ltxFiles(level, op));
  const snapshots = await Array.fromAsync(client.ltxFiles(SNAPSHOT_LEVEL, op));
  const faults = [...chainFaults(files, snapshots.filter(isSnapshotFile))];
  for (const file of written) {
    const fault = await fileFault(client, file, op);
    if (fault === 'gone') faults.push(corruptFault(file, 'it is not there'));
    else if (fault !== undefined) faults.push(fault);
  }
  return faults;
}

/** Lowest level first, snapshots last: files only ever move upwards, so none is missed. */
async function list(client: ReplicaClient, op: Op): Promise<Listing> {
  const levels: LtxFileInfo[][] = [];
  for (let level = 0; level < SNAPSHOT_LEVEL; level += 1) {
    levels.push(await Array.fromAsync(client.ltxFiles(level, op)));
  }
  const top = await Array.fromAsync(client.ltxFiles(SNAPSHOT_LEVEL, op));
  return { levels, snapshots: top.filter(isSnapshotFile), all: [...levels.flat(), ...top] };
}

function listingFaults({ levels, snapshots, all }: Listing, confirmed: TXID): readonly ValidationFault[] {
  const faults = levels.flatMap((files) => chainFaults(files, snapshots));
  if (all.length === 0) return confirmed > 0n ? [endFault(0n, confirmed)] : faults;
  if (!all.some((file) => file.minTxid === 1n)) {
    return [
      ...faults,
      {
        kind: 'no-base',
        level: SNAPSHOT_LEVEL,
        file: undefined,
        message: 'no file of the replica begins at the first transaction, so nothing can be restored from it',
      },
    ];
  }
  return [...faults, ...reachFaults(levels.flat(), snapshots, faults, confirmed)];
}

/** Gaps of one level, except those that a snapshot covers: they were repaired, and restores skip them. */
function chainFaults(files: readonly LtxFileInfo[], snapshots: readonly LtxFileInfo[]): readonly ValidationFault[] {
  const base = lastTxid(snapshots);
  return contiguityFaults(files)
    .filter(({ kind, next }) => kind === 'order' || (kind === 'gap' ? next.minTxid - 1n : next.maxTxid) > base)
    .map((fault) => ({
      kind: fault.kind,
      level: fault.next.level,
      file: fileName(fault.next),
      message: describeFault(fault),
    }));
}

/** Even if every level is complete, one may end before the level below it begins. */
function reachFaults(
  files: readonly LtxFileInfo[],
  snapshots: readonly LtxFileInfo[],
  known: readonly ValidationFault[],
  confirmed: TXID,
): readonly ValidationFault[] {
  const base = lastTxid(snapshots);
  const reached = extendChain(files, base, {}).at(-1)?.maxTxid ?? base;
  const [beyond] = files
    .filter((file) => file.minTxid > reached + 1n)
    .sort((a, b) => (a.minTxid < b.minTxid ? -1 : a.minTxid > b.minTxid ? 1 : b.level - a.level));
  if (beyond === undefined && known.length === 0 && reached < confirmed) return [endFault(reached, confirmed)];
  if (beyond === undefined || known.some(({ file }) => file === fileName(beyond))) return [];
  const message = `gap between ${formatTxid(reached)}, up to which the replica is complete, and ${fileName(beyond)}`;
  return [{ kind: 'gap', level: beyond.level, file: fileName(beyond), message }];
}

/** Missing files at the end leave no gap: only the uploader knows that they existed. */
function endFault(reached: TXID, confirmed: TXID): ValidationFault {
  const message = `the replica ends at ${formatTxid(reached)}, but held everything up to ${formatTxid(confirmed)}: files were deleted`;
  return { kind: 'gap', level: 0, file: undefined, message };
}

function lastTxid(files: readonly LtxFileInfo[]): TXID {
  return files.reduce((max, file) => (file.maxTxid > max ? file.maxTxid : max), 0n);
}

/** Retention may delete a file after it was listed and before it is read: that is no fault of the replica. */
async function fileFault(
  client: ReplicaClient,
  file: LtxFileInfo,
  op: Op & { readonly clock?: Clock | undefined; readonly onHeader?: (header: LtxHeader) => void },
): Promise<ValidationFault | 'gone' | undefined> {
  try {
    const source = resumableSource(client, file, op);
    const { header, size } = await verifyLtx(source, { file: fileName(file) });
    op.onHeader?.(header);
    const claims = header.minTxid === file.minTxid && header.maxTxid === file.maxTxid && size === file.size;
    if (claims) return undefined;
    return corruptFault(file, 'it holds other transactions or another size than its name and listing say');
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'OBJECT_CHANGED')) return 'gone';
    if (!isLtxError(error)) throw error;
    return { kind: 'corrupt', level: file.level, file: fileName(file), message: error.message };
  }
}

function corruptFault(file: LtxFileInfo, what: string): ValidationFault {
  return { kind: 'corrupt', level: file.level, file: fileName(file), message: `${fileName(file)}: ${what}` };
}

/** `count` different items, chosen uniformly. */
function draw<T>(items: readonly T[], count: number, random: () => number): readonly T[] {
  const pool = [...items];
  const drawn: T[] = [];
  while (drawn.length < count && pool.length > 0) {
    drawn.push(...pool.splice(Math.floor(random() * pool.length), 1));
  }
  return drawn;
}
