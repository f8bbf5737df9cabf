/**
 * Looks a replica over: is each level one unbroken chain, does it stand on a base, and are the files what they claim to
 * be? Reads only. After upstream's `ValidateLevel`, which checks contiguity alone.
 */
import { formatLtxFilename, isLtxError, verifyLtx } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../client/contract.ts';
import { resumableSource } from '../client/resumable-reader.ts';
import { hasCode } from '../error.ts';
import { contiguityFaults, describeFault } from './contiguity.ts';
import { SNAPSHOT_LEVEL } from './levels.ts';

export interface ValidationFault {
  readonly kind: 'gap' | 'overlap' | 'order' | 'corrupt' | 'no-base';
  readonly level: number;
  /** Name of the file at fault, or of the file behind the gap. */
  readonly file: string | undefined;
  readonly message: string;
}

export interface ValidationReport {
  readonly faults: readonly ValidationFault[];
  readonly filesListed: number;
  /** Files read whole and checked against their own checksum. */
  readonly filesVerified: number;
}

export interface ValidationOptions extends Op {
  /** Levels below the snapshots, default 0 … 8. */
  readonly levels?: readonly number[] | undefined;
  /** Files to read whole, per replica, drawn at random; `all` reads every one. Default 2. */
  readonly sample?: number | 'all' | undefined;
  /** Draws the sample: a number in [0, 1). */
  readonly random?: (() => number) | undefined;
}

const EVERY_LEVEL = [0, 1, 2, 3, 4, 5, 6, 7, 8];

export async function validateReplica(
  client: ReplicaClient,
  options: ValidationOptions = {},
): Promise<ValidationReport> {
  const op: Op = { signal: options.signal };
  const snapshots = await Array.fromAsync(client.ltxFiles(SNAPSHOT_LEVEL, op));
  const faults: ValidationFault[] = [];
  const listed: LtxFileInfo[] = [...snapshots];
  for (const level of options.levels ?? EVERY_LEVEL) {
    const files = await Array.fromAsync(client.ltxFiles(level, op));
    listed.push(...files);
    faults.push(...chainFaults(files, snapshots));
  }
  if (listed.length > 0 && !listed.some((file) => file.minTxid === 1n)) {
    faults.push({
      kind: 'no-base',
      level: SNAPSHOT_LEVEL,
      file: undefined,
      message: 'no file of the replica begins at the first transaction, so nothing can be restored from it',
    });
  }
  const chosen = options.sample === 'all' ? listed : draw(listed, options.sample ?? 2, options.random ?? Math.random);
  let filesVerified = 0;
  for (const file of chosen) {
    const fault = await fileFault(client, file, op);
    if (fault === 'gone') continue;
    filesVerified += 1;
    if (fault !== undefined) faults.push(fault);
  }
  return { faults, filesListed: listed.length, filesVerified };
}

/** Breaks of one level, but for gaps that a snapshot covers: those were healed, and restores go around them. */
function chainFaults(files: readonly LtxFileInfo[], snapshots: readonly LtxFileInfo[]): readonly ValidationFault[] {
  return contiguityFaults(files)
    .filter(({ kind, next }) => kind !== 'gap' || !snapshots.some(({ maxTxid }) => maxTxid >= next.minTxid - 1n))
    .map((fault) => ({
      kind: fault.kind,
      level: fault.next.level,
      file: nameOf(fault.next),
      message: describeFault(fault),
    }));
}

/** Retention may delete a file between its listing and its reading: that is no fault of the replica. */
async function fileFault(
  client: ReplicaClient,
  file: LtxFileInfo,
  op: Op,
): Promise<ValidationFault | 'gone' | undefined> {
  const name = nameOf(file);
  try {
    const { header, size } = await verifyLtx(resumableSource(client, file, op), { file: name });
    const claims = header.minTxid === file.minTxid && header.maxTxid === file.maxTxid && size === file.size;
    if (claims) return undefined;
    const message = `level ${file.level} file ${name} holds other transactions or another size than its name and listing say`;
    return { kind: 'corrupt', level: file.level, file: name, message };
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return 'gone';
    if (!isLtxError(error)) throw error;
    return {
      kind: 'corrupt',
      level: file.level,
      file: name,
      message: `level ${file.level} file ${name}: ${error.message}`,
    };
  }
}

/** `count` different items, each as likely as any other. */
function draw<T>(items: readonly T[], count: number, random: () => number): readonly T[] {
  const pool = [...items];
  const drawn: T[] = [];
  while (drawn.length < count && pool.length > 0) {
    drawn.push(...pool.splice(Math.floor(random() * pool.length), 1));
  }
  return drawn;
}

function nameOf(file: LtxFileInfo): string {
  return formatLtxFilename(file.minTxid, file.maxTxid);
}
