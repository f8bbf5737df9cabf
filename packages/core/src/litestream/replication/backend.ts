import type { ReplicaSpec } from '../../plugins/registry.ts';
import { parseReplicaUrl } from '../../plugins/replica-url.ts';

const PLACES = ['bucket', 'endpoint', 'host', 'webdav-url', 'account-name', 'region'];

/** Identifies the backend of a replica, whose replicas fail together: type, and host or bucket. `file` for all folders. */
export function backendOf({ type, url, settings }: ReplicaSpec): string {
  const parsed = url === undefined ? undefined : parseReplicaUrl(url);
  const name = type ?? parsed?.scheme ?? 'file';
  // Folders may be on different disks, but none delays the others for long.
  if (name === 'file') return name;
  return JSON.stringify([name, parsed?.host, ...PLACES.map((key) => settings?.[key])]);
}
