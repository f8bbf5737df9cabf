import { isFileUrl } from './file-url.ts';

/** The scheme of the URL decides, then `type`; a bare path is a folder. */
export function replicaType(type: string | undefined, url: string | undefined): string {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url ?? '')?.[1]?.toLowerCase();
  return scheme ?? (isFileUrl(url ?? '') ? 'file' : undefined) ?? type ?? 'file';
}
