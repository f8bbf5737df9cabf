/** Apache: mod_dav_fs behind a Basic login. */
import { startApache } from '../apache.ts';
import type { RunningService, Service } from '../service.ts';

const apache: Service = { backend: 'webdav', name: 'apache', start };

export default apache;

export async function start(): Promise<RunningService> {
  return startApache('basic');
}
