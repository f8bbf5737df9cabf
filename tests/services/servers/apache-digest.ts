/** Apache: mod_dav_fs behind a Digest login, whose one-time numbers expire. */
import { startApache } from '../apache.ts';
import type { RunningService, Service } from '../service.ts';

const apacheDigest: Service = { backend: 'webdav', name: 'apache-digest', start };

export default apacheDigest;

export async function start(): Promise<RunningService> {
  return startApache('digest');
}
