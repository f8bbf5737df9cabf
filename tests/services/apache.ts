/** Apache with mod_dav and mod_dav_fs over a folder, with either way to ask for the password. */
import { createHash } from 'node:crypto';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { debianPackage } from './debian.ts';
import { storedFiles } from './files.ts';
import { freePort, scratchFolder, startServer } from './process.ts';
import type { RunningService } from './service.ts';
import { unprivileged } from './users.ts';

const USER = 'litestream';
const PASSWORD = 'correct horse';
const REALM = 'dav';

export async function startApache(login: 'basic' | 'digest'): Promise<RunningService> {
  const port = await freePort();
  const { root, env } = debianPackage('apache2-bin', '/usr/sbin/apache2');
  const folder = await scratchFolder('apache');
  const data = join(folder.path, 'data');
  await mkdir(data);
  await writeFile(join(folder.path, 'passwords'), `${passwordLine(login)}\n`);
  const modules = join(root, 'usr/lib/apache2/modules');
  await writeFile(join(folder.path, 'apache.conf'), configOf({ login, port, folder: folder.path, modules, data }));
  const { ids } = unprivileged();
  if (ids !== undefined) for (const path of [folder.path, data]) await chown(path, ids.uid, ids.gid);
  const args = ['-DFOREGROUND', '-f', join(folder.path, 'apache.conf')];
  const server = await startServer(join(root, '/usr/sbin/apache2'), args, { port, env, user: ids });
  return {
    config: {
      type: 'webdav',
      'webdav-url': `http://127.0.0.1:${port}`,
      'webdav-username': USER,
      'webdav-password': PASSWORD,
    },
    // Without the slash Go's library computes the Digest over another path than it asks for, and gets a 400.
    configAt: async (path, config) => ({ ...config, path: `/${path}` }),
    broken: {
      wrongCredentials: { config: { 'webdav-password': 'wrong' } },
      unreachable: { config: { 'webdav-url': 'http://127.0.0.1:1' } },
    },
    stored: (path) => storedFiles(data, path),
    ...(login === 'digest'
      ? { login }
      : { answersDiffer: { 'a file is moved below a missing collection': 'it says 500, RFC 4918 says 409' } }),
    fileCount: 300,
    stop: async () => {
      await server.stop();
      await folder.remove();
    },
  };
}

function passwordLine(login: 'basic' | 'digest'): string {
  if (login === 'basic') return `${USER}:{SHA}${createHash('sha1').update(PASSWORD).digest('base64')}`;
  return `${USER}:${REALM}:${createHash('md5').update(`${USER}:${REALM}:${PASSWORD}`).digest('hex')}`;
}

function configOf(parts: { login: string; port: number; folder: string; modules: string; data: string }): string {
  const { login, port, folder, modules, data } = parts;
  const names = ['mpm_event', 'authn_core', 'authn_file', 'authz_core', 'authz_user', `auth_${login}`, 'dav', 'dav_fs'];
  return [
    `ServerRoot "${folder}"`,
    'ServerName 127.0.0.1',
    `Listen 127.0.0.1:${port}`,
    `PidFile "${folder}/apache.pid"`,
    `ErrorLog "${folder}/errors"`,
    ...names.map((name) => `LoadModule ${name}_module "${modules}/mod_${name}.so"`),
    'KeepAlive On',
    'MaxKeepAliveRequests 0',
    // A gigabyte unless it is set.
    'LimitRequestBody 0',
    `DavLockDB "${folder}/locks"`,
    `DocumentRoot "${data}"`,
    `<Directory "${data}">`,
    '  Dav On',
    `  AuthType ${login}`,
    `  AuthName "${REALM}"`,
    `  ${login === 'basic' ? 'AuthBasicProvider' : 'AuthDigestProvider'} file`,
    `  AuthUserFile "${folder}/passwords"`,
    '  Require valid-user',
    '</Directory>',
    '',
  ].join('\n');
}
