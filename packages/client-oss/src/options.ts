/** Location of a replica in OSS, and its credentials. Only `bucket` has no default. */
export interface OssOptions {
  readonly bucket: string;
  /** Folder of the replica in the bucket. */
  readonly path?: string | undefined;
  /** `cn-hangzhou`, with or without `oss-` before it. Default `cn-hangzhou`. Part of every signature. */
  readonly region?: string | undefined;
  /** Default: the public endpoint of the region. The default scheme is `https://`. */
  readonly endpoint?: string | undefined;
  /** Use the endpoint inside Alibaba's network, where traffic is free. Default false. */
  readonly internal?: boolean | undefined;
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
  /** The token of temporary credentials (STS). */
  readonly sessionToken?: string | undefined;
  /** Put the bucket into the path of the URL, not into its host. Default: only for endpoints that are an IP address or localhost. */
  readonly forcePathStyle?: boolean | undefined;
  /** Sign with the older version 1 of the protocol. Default 4. */
  readonly signatureVersion?: 1 | 4 | undefined;
  /** Bytes of one part; smaller files are uploaded in one request. Default 5 MiB, at least 100 KiB. */
  readonly partSize?: number | undefined;
  /** Parts of one file in flight. Default 3. */
  readonly concurrency?: number | undefined;
  /** HEAD requests in flight while a listing fetches exact timestamps. Default 50. */
  readonly metadataConcurrency?: number | undefined;
}

export const DEFAULT_REGION = 'cn-hangzhou';
export const PART_SIZE: number = 5 * 1024 * 1024;
/** The smallest part, in bytes (OSS reference, UploadPart). */
export const PART_SIZE_MIN: number = 100 * 1024;
export const PART_COUNT_MAX = 10_000;
export const CONCURRENCY = 3;
export const METADATA_CONCURRENCY = 50;
/** Metadata of an object that holds the commit time; the service puts `x-oss-meta-` before it. */
export const TIMESTAMP_KEY = 'litestream-timestamp';
