/** OpenSSH: `sshd` with its own SFTP server, run as a user without rights, with a host key of its own. */
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { newKeyPair } from '../../../packages/client-sftp/test/key-pair.ts';
import { debianPackage } from '../debian.ts';
import { storedFiles } from '../files.ts';
import { freePort, scratchFolder, startServer } from '../process.ts';
import type { RunningService, Service } from '../service.ts';
import { unprivileged } from '../users.ts';

const openssh: Service = { backend: 'sftp', name: 'openssh', start };

export default openssh;

export async function start(): Promise<RunningService> {
  const port = await freePort();
  const { root, env } = debianPackage('openssh-server', '/usr/sbin/sshd');
  const { name: user, ids } = unprivileged();
  const folder = await scratchFolder('openssh');
  const data = join(folder.path, 'data');
  await mkdir(data);
  const hostKey = newKeyPair();
  const userKey = newKeyPair();
  const otherKey = newKeyPair();
  const files = {
    host_key: hostKey.private,
    authorized_keys: userKey.public,
    id_ed25519: userKey.private,
    id_other: otherKey.private,
    sshd_config: [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${join(folder.path, 'host_key')}`,
      `AuthorizedKeysFile ${join(folder.path, 'authorized_keys')}`,
      'PidFile none',
      'UsePAM no',
      'StrictModes no',
      'MaxStartups 100',
      'MaxSessions 100',
      // Relative paths start in the data folder, whatever the user's home is.
      `Subsystem sftp internal-sftp -d ${data}`,
      '',
    ].join('\n'),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder.path, name), text, { mode: 0o600 });
  if (ids !== undefined) {
    for (const name of ['', 'data', ...Object.keys(files)]) await chown(join(folder.path, name), ids.uid, ids.gid);
  }
  const args = ['-D', '-e', '-f', join(folder.path, 'sshd_config')];
  const server = await startServer(join(root, '/usr/sbin/sshd'), args, { port, env, user: ids });
  const config = {
    type: 'sftp',
    host: `127.0.0.1:${port}`,
    user,
    'key-path': join(folder.path, 'id_ed25519'),
    'host-key': hostKey.public.trim(),
  };
  return {
    config,
    broken: {
      wrongCredentials: { config: { 'key-path': join(folder.path, 'id_other') } },
      unreachable: { config: { host: '127.0.0.1:1' } },
    },
    stored: (path) => storedFiles(data, path),
    fileCount: 1100,
    stop: async () => {
      await server.stop();
      await folder.remove();
    },
  };
}
