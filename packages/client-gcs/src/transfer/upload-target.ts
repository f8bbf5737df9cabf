/** Name, metadata and condition of an upload. */
export interface UploadTarget {
  readonly key: string;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly contentType: string;
  /** 0: only if the object does not exist. */
  readonly ifGenerationMatch?: number | string | undefined;
}

/** The query and the resource that describe an upload, for all kinds of uploads. */
export function describeUpload(target: UploadTarget): { query: Record<string, string>; resource: string } {
  const { key, contentType, metadata, ifGenerationMatch } = target;
  return {
    query: { name: key, ...(ifGenerationMatch === undefined ? {} : { ifGenerationMatch: String(ifGenerationMatch) }) },
    resource: JSON.stringify({ name: key, contentType, ...(metadata === undefined ? {} : { metadata }) }),
  };
}
