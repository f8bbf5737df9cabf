import type { ResolvedCapabilities } from '../../storage/contract/capabilities.ts';
import type { LtxFileInfo, LtxFileRef, ReplicaClient } from '../../storage/contract/contract.ts';
import type { LitestreamErrorCode } from '../../util/error.ts';
import type { Fault } from '../../testing/fault-client.ts';
import type { Seeded } from '../../testing/seeded.ts';

/** What an adapter must be able to do, or its proof must provide, for a case to run. */
export type Requirement =
  | 'objects'
  | 'conditions'
  | 'conditionalDelete'
  | 'conditionalCreate'
  | 'locked conditionalCreate'
  | 'ranges'
  | 'timestamps'
  | 'no objects'
  | 'no conditions'
  | 'no conditionalDelete'
  | 'no ranges'
  | 'wrongCredentials'
  | 'missingBucket'
  | 'unreachable'
  | 'large';

/**
 * How a case uses the client: directly, under a long path, behind core's guard, and behind that guard with injected
 * faults.
 */
export type Variation = 'direct' | 'prefix' | 'guarded' | 'faults';

export const VARIATIONS: readonly Variation[] = ['direct', 'prefix', 'guarded', 'faults'];

/** One promise of the contract, as data. */
export interface ConformanceCase {
  /** A sentence; names are stable, reports refer to them. */
  readonly name: string;
  readonly requires?: readonly Requirement[] | undefined;
  /** Faults that may be injected. Default all; for calls that must not be repeated, only faults without an effect. */
  readonly faults?: readonly Fault[] | undefined;
  /** Variations it makes sense in. Default all. */
  readonly variations?: readonly Variation[] | undefined;
  /** Rejects, mostly with an `AssertionError`, if the client breaks the promise. */
  readonly run: (context: CaseContext) => Promise<void>;
}

/** A file to store: its bytes and, optionally, its time. */
export interface TestFile extends LtxFileRef {
  readonly bytes: Uint8Array;
  readonly timestamp?: Date | undefined;
}

/** What a case works with. Each case has an empty replica of its own. */
export interface CaseContext {
  readonly variation: Variation;
  readonly client: ReplicaClient;
  readonly capabilities: ResolvedCapabilities;
  readonly random: Seeded;
  /** File count for cases about many files: more than two pages of any backend, fewer in repetitions. */
  readonly fileCount: number;
  /** The same for cases that list them. */
  readonly listCount: number;
  /** Bytes of the largest object. */
  readonly largeSize: number;
  /** Another client, initialised, for a path beside this one's: same parent, this suffix. '' is the same path. */
  readonly open: (suffix: string) => Promise<ReplicaClient>;
  /** A client made by the proof to fail. */
  readonly broken: (kind: 'wrongCredentials' | 'missingBucket' | 'unreachable') => Promise<ReplicaClient>;
  /** Stores a file. */
  readonly write: (file: TestFile, client?: ReplicaClient) => Promise<LtxFileInfo>;
  /** Reads a file, over broken connections too. */
  readonly read: (
    info: LtxFileInfo,
    range?: { offset?: number; size?: number },
    client?: ReplicaClient,
  ) => Promise<Buffer>;
  readonly readObject: (key: string, range?: { offset?: number; size?: number }) => Promise<Buffer>;
  readonly list: (
    level?: number,
    query?: { seek?: bigint; useMetadata?: boolean },
    client?: ReplicaClient,
  ) => Promise<LtxFileInfo[]>;
  /** Code of a rejection; fails the case if the call resolves. */
  readonly codeOf: (call: () => Promise<unknown>) => Promise<LitestreamErrorCode>;
}

/** A file of level 0 with one TXID. */
export function fileOf(txid: number | bigint, bytes: Uint8Array | string = `file ${txid}`, level = 0): TestFile {
  return {
    level,
    minTxid: BigInt(txid),
    maxTxid: BigInt(txid),
    bytes: typeof bytes === 'string' ? Buffer.from(bytes) : bytes,
  };
}

/** `1-1 2-3`: the TXIDs of a listing, short enough for a message. */
export function namesOf(files: readonly LtxFileRef[]): string {
  return files.map(({ minTxid, maxTxid }) => `${minTxid}-${maxTxid}`).join(' ');
}

/** Runs tasks a few at a time. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(width, items.length) }, async () => {
      for (let item = items[next++]; item !== undefined; item = items[next++]) await task(item);
    }),
  );
}
