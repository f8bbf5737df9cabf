/** Location of a replica in S3, and its credentials. Only `bucket` has no default. */
export interface S3Options {
  /** Bucket, or the ARN of an access point. */
  readonly bucket: string;
  /** Folder of the replica in the bucket, used unchanged. With an empty one, keys begin with a slash. */
  readonly path?: string | undefined;
  /** Default: looked up from the bucket on AWS, `us-east-1` with an endpoint. */
  readonly region?: string | undefined;
  /** URL of an S3-compatible server. Unset for AWS. The default scheme is `https://`. */
  readonly endpoint?: string | undefined;
  /** With `secretAccessKey`: static keys. Default: the SDK's own chain (environment, profiles, roles, …). */
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
  readonly sessionToken?: string | undefined;
  /** Put the bucket into the path of the URL, not into its host. Default: as the provider needs it, true for most endpoints. */
  readonly forcePathStyle?: boolean | undefined;
  /** Trust any TLS certificate. Default false. */
  readonly skipVerify?: boolean | undefined;
  /** Sign the payload's SHA-256, as most compatible servers require. Default true. */
  readonly signPayload?: boolean | undefined;
  /** Send Content-MD5 with batch deletes. Default true, but false for Tigris. */
  readonly requireContentMd5?: boolean | undefined;
  /** Send Content-MD5 with objects that are uploaded in one request, as buckets with Object Lock may require. Default false. */
  readonly putObjectContentMd5?: boolean | undefined;
  readonly storageClass?: string | undefined;
  /** Bytes of one part; smaller files are uploaded in one request. Default and minimum 5 MiB. */
  readonly partSize?: number | undefined;
  /** Parts of one file in flight. Default 5; 2 for Cloudflare R2, which refuses more. */
  readonly concurrency?: number | undefined;
  /** HEAD requests in flight while a listing fetches exact timestamps. Default 50. */
  readonly metadataConcurrency?: number | undefined;
  /** `AES256`, the only algorithm. */
  readonly sseCustomerAlgorithm?: string | undefined;
  /** Base64 of a 256-bit key. The server encrypts with the key and does not keep it (SSE-C). */
  readonly sseCustomerKey?: string | undefined;
  /** A file with `sseCustomerKey`; `~` is the home folder. */
  readonly sseCustomerKeyPath?: string | undefined;
  /** Key ID, ARN or alias of a KMS key. Cannot be combined with `sseCustomerKey`. */
  readonly sseKmsKeyId?: string | undefined;
}

/** The default part size, and the smallest that S3 accepts, in bytes. */
export const PART_SIZE_MIN: number = 5 * 1024 * 1024;
