/**
 * What TypeScript says of clients and plugins that were written to version 1 of the contract: they go on compiling.
 * `npm run typecheck` is the test. The types below are those of version 1: do not bring them up to date.
 */
import type { ReplicaClient } from '../src/storage/contract/contract.ts';
import type { LitestreamPlugin, PluginContext } from '../src/plugins/plugin.ts';

interface OpV1 {
  readonly signal?: AbortSignal | undefined;
}
interface FileRefV1 {
  readonly level: number;
  readonly minTxid: bigint;
  readonly maxTxid: bigint;
}
interface FileInfoV1 extends FileRefV1 {
  readonly size: number;
  readonly timestamp: Date;
  readonly createdAt?: Date | undefined;
  readonly version?: string | undefined;
}
interface BodyV1 {
  readonly size?: number | undefined;
  open(): AsyncIterable<Uint8Array>;
}
interface ObjectInfoV1 {
  readonly key: string;
  readonly size: number;
  readonly lastModified: Date;
  readonly version?: string | undefined;
}
type RangeV1 = { offset?: number | undefined; size?: number | undefined } & OpV1;

/** All that version 1 asked of a client, and what it was allowed to count on in its arguments. */
interface ClientV1 {
  readonly type: string;
  readonly capabilities: {
    readonly objects?: boolean;
    readonly conditions?: boolean;
    readonly timestamps?: 'listing' | 'metadata' | 'none';
    readonly timestampResolutionMs?: number;
    readonly batchDelete?: boolean;
    readonly seekListing?: boolean;
    readonly conditionalDelete?: boolean;
    readonly ranges?: boolean;
  };
  init(options?: OpV1): Promise<void>;
  ltxFiles(
    level: number,
    query?: { seek?: bigint | undefined; useMetadata?: boolean | undefined } & OpV1,
  ): AsyncIterable<FileInfoV1>;
  openLtxFile(file: FileRefV1, range?: RangeV1): Promise<AsyncIterable<Uint8Array>>;
  writeLtxFile(file: FileRefV1 & { timestamp: Date }, body: BodyV1, options?: OpV1): Promise<FileInfoV1>;
  deleteLtxFiles(files: readonly FileRefV1[], options?: OpV1): Promise<void>;
  deleteAll(options?: OpV1): Promise<void>;
  readonly objects?: {
    list(prefix: string, options?: OpV1): AsyncIterable<ObjectInfoV1>;
    open(key: string, range?: RangeV1): Promise<{ info: ObjectInfoV1; body: AsyncIterable<Uint8Array> }>;
    put(
      key: string,
      body: Uint8Array,
      conditions?: { ifMatch?: string | undefined; ifNoneMatch?: '*' | undefined } & OpV1,
    ): Promise<ObjectInfoV1>;
    delete(key: string, conditions?: { ifMatch?: string | undefined } & OpV1): Promise<void>;
  };
  classify?(error: unknown): { code: 'NOT_FOUND' | 'UNAUTHORIZED' | 'THROTTLED'; retryable: boolean } | undefined;
  [Symbol.asyncDispose](): Promise<void>;
}

interface ContextV1 {
  readonly logger: { info(message: string, fields?: Readonly<Record<string, unknown>>): void };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly folder: string;
  readonly databasePath?: string | undefined;
}
interface UrlV1 {
  readonly scheme: string;
  readonly host: string;
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly text: string;
}
interface PluginV1 {
  readonly name: string;
  readonly apiVersion: 1;
  readonly schemes: readonly string[];
  readonly types: readonly string[];
  readonly configSchema: { parse(value: unknown): { readonly path: string } };
  configFromUrl(url: UrlV1): Record<string, unknown>;
  create(config: { readonly path: string }, context: ContextV1): ClientV1;
}

/** A client of version 1 is a client of today. */
export const client = (written: ClientV1): ReplicaClient => written;
/** So is a plugin, whose `create` gets at least what it was promised. */
export const plugin = (written: PluginV1): LitestreamPlugin<{ readonly path: string }> => written;
/** And what core hands over is what version 1 promised. */
export const context = (given: PluginContext): ContextV1 => given;
