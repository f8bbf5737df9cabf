/** Location of a replica in Azure Blob Storage, and its credentials. */
export interface AbsOptions {
  /** The container. */
  readonly bucket: string;
  /** Folder of the replica in the container. */
  readonly path?: string | undefined;
  readonly accountName?: string | undefined;
  /** Shared key, base64. Default: `LITESTREAM_AZURE_ACCOUNT_KEY`. */
  readonly accountKey?: string | undefined;
  /** Takes precedence over the account key. Default: `LITESTREAM_AZURE_SAS_TOKEN`. */
  readonly sasToken?: string | undefined;
  /** Default: `AZURE_STORAGE_CONNECTION_STRING`, if no account is named. Takes precedence over all other credentials. */
  readonly connectionString?: string | undefined;
  /** Default: `https://ACCOUNT.blob.core.windows.net`. */
  readonly endpoint?: string | undefined;
  /** Bytes of a block; smaller files are uploaded in one request. Default 4 MiB. */
  readonly partSize?: number | undefined;
  /** Rows of one listing request. Default and maximum 5000. */
  readonly pageSize?: number | undefined;
  /** Blocks, or deletes, in flight. Default 5. */
  readonly concurrency?: number | undefined;
}
