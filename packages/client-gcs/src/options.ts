/** Location of a replica in Google Cloud Storage. Credentials default to Google's own (ADC). */
export interface GcsOptions {
  readonly bucket: string;
  /** Folder of the replica in the bucket. */
  readonly path?: string | undefined;
  /** URL of an emulator or proxy. Default: `STORAGE_EMULATOR_HOST`, else Google. */
  readonly endpoint?: string | undefined;
  /** Key file of a service account. Default: `GOOGLE_APPLICATION_CREDENTIALS`, then the credentials of the machine. */
  readonly keyPath?: string | undefined;
  readonly projectId?: string | undefined;
  /** Larger uploads are resumable, with this many bytes in each request; a multiple of 256 KiB. Default 8 MiB. */
  readonly partSize?: number | undefined;
  /** Deletes in flight. Default 16. */
  readonly concurrency?: number | undefined;
}
