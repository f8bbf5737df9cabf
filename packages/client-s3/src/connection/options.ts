/** Where an S3 replica lives and how to reach it. Every field but `bucket` has a default. */
export interface S3Options {
  /** Bucket, or the ARN of an access point. */
  readonly bucket: string;
  /** Folder of the replica in the bucket, taken as it is. With an empty one, keys begin with a slash. */
  readonly path?: string | undefined;
  /** Default: looked up from the bucket on AWS, `us-east-1` with an endpoint. */
  readonly region?: string | undefined;
  /** URL of an S3-compatible server. Unset for AWS. Without a scheme, `https://` is meant. */
  readonly endpoint?: string | undefined;
  /** With `secretAccessKey`: static keys. Default: the SDK's own chain (environment, profiles, roles, …). */
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
  readonly sessionToken?: string | undefined;
  /** Bucket in the path of the URL, not in its host. Default: as the provider needs it, true for most endpoints. */
  readonly forcePathStyle?: boolean | undefined;
  /** Trust any TLS certificate. Default false. */
  readonly skipVerify?: boolean | undefined;
  /** Sign the payload's SHA-256, as most compatible servers demand. Default true. */
  readonly signPayload?: boolean | undefined;
  /** Send Content-MD5 with batch deletes. Default true, but false for Tigris. */
  readonly requireContentMd5?: boolean | undefined;
  /** Send Content-MD5 with objects that are uploaded in one request, as buckets with Object Lock may demand. Default false. */
  readonly putObjectContentMd5?: boolean | undefined;
  readonly storageClass?: string | undefined;
  /** Bytes of one part; smaller files go up in one request. Default and minimum 5 MiB. */
  readonly partSize?: number | undefined;
  /** Parts of one file in flight. Default 5; 2 for Cloudflare R2, which refuses more. */
  readonly concurrency?: number | undefined;
  /** HEAD requests in flight while a listing fetches exact timestamps. Default 50. */
  readonly metadataConcurrency?: number | undefined;
  /** `AES256`, the only one there is. */
  readonly sseCustomerAlgorithm?: string | undefined;
  /** Base64 of a 256-bit key: the server encrypts with it and forgets it (SSE-C). */
  readonly sseCustomerKey?: string | undefined;
  /** A file that holds `sseCustomerKey`; `~` is the home folder. */
  readonly sseCustomerKeyPath?: string | undefined;
  /** Key ID, ARN or alias of a KMS key. Not together with `sseCustomerKey`. */
  readonly sseKmsKeyId?: string | undefined;
}

/** Part size where nothing is configured, and the smallest S3 takes, in bytes. */
export const PART_SIZE_MIN: number = 5 * 1024 * 1024;
