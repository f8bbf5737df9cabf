/** Where a replica lives in Google Cloud Storage. Credentials are Google's own (ADC) unless given. */
export interface GcsOptions {
  readonly bucket: string;
  /** Folder of the replica in the bucket. */
  readonly path?: string | undefined;
  /** URL of an emulator or proxy. Default: `STORAGE_EMULATOR_HOST`, else Google. */
  readonly endpoint?: string | undefined;
  /** Service account's key file. Default: `GOOGLE_APPLICATION_CREDENTIALS`, then what the machine offers. */
  readonly keyPath?: string | undefined;
  readonly projectId?: string | undefined;
  /** Bytes above which an upload is resumable, and of each request of it; a multiple of 256 KiB. Default 8 MiB. */
  readonly partSize?: number | undefined;
  /** Deletes in flight. Default 16. */
  readonly concurrency?: number | undefined;
}
