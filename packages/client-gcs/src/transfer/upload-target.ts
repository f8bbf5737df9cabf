/** What to store, and under which condition. */
export interface UploadTarget {
  readonly key: string;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly contentType: string;
  /** 0: only if there is no such object. */
  readonly ifGenerationMatch?: number | string | undefined;
}

/** Name, condition and metadata of an upload, as every kind of it takes them. */
export function describeUpload(target: UploadTarget): { query: Record<string, string>; resource: string } {
  const { key, contentType, metadata, ifGenerationMatch } = target;
  return {
    query: { name: key, ...(ifGenerationMatch === undefined ? {} : { ifGenerationMatch: String(ifGenerationMatch) }) },
    resource: JSON.stringify({ name: key, contentType, ...(metadata === undefined ? {} : { metadata }) }),
  };
}
