/** Where a replica lives in Azure Blob Storage, and how to get in. */
export interface AbsOptions {
  /** The container. */
  readonly bucket: string;
  /** Folder of the replica in the container. */
  readonly path?: string | undefined;
  readonly accountName?: string | undefined;
  /** Shared key, base64. Default: `LITESTREAM_AZURE_ACCOUNT_KEY`. */
  readonly accountKey?: string | undefined;
  /** Goes before the account key. Default: `LITESTREAM_AZURE_SAS_TOKEN`. */
  readonly sasToken?: string | undefined;
  /** Default: `AZURE_STORAGE_CONNECTION_STRING`, where no account is named. Goes before everything else if given. */
  readonly connectionString?: string | undefined;
  /** Default: `https://ACCOUNT.blob.core.windows.net`. */
  readonly endpoint?: string | undefined;
  /** Bytes of a block; smaller files go up in one request. Default 4 MiB. */
  readonly partSize?: number | undefined;
  /** Rows of one listing request. Default 5000, the most there is. */
  readonly pageSize?: number | undefined;
  /** Blocks, or deletes, in flight. Default 5. */
  readonly concurrency?: number | undefined;
}
