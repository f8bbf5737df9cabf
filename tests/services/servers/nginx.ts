/** nginx with its own DAV module, and dav-ext for PROPFIND. */
import { createHash } from 'node:crypto';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { debianPackage } from '../debian.ts';
import { storedFiles } from '../files.ts';
import { freePort, scratchFolder, startServer } from '../process.ts';
import type { RunningService, Service } from '../service.ts';
import { unprivileged } from '../users.ts';

const MODULE = '/usr/lib/nginx/modules/ngx_http_dav_ext_module.so';
const USER = 'litestream';
const PASSWORD = 'correct horse';

const nginx: Service = { backend: 'webdav', name: 'nginx', start };

export default nginx;

export async function start(): Promise<RunningService> {
  const port = await freePort();
  const { root, env } = debianPackage('libnginx-mod-http-dav-ext', MODULE);
  const folder = await scratchFolder('nginx');
  const data = join(folder.path, 'data');
  await mkdir(data);
  await mkdir(join(folder.path, 'temporary'));
  const hash = createHash('sha1').update(PASSWORD).digest('base64');
  await writeFile(join(folder.path, 'passwords'), `${USER}:{SHA}${hash}\n`);
  await writeFile(join(folder.path, 'nginx.conf'), configOf({ port, folder: folder.path, module: join(root, MODULE) }));
  const { ids } = unprivileged();
  if (ids !== undefined) {
    for (const path of [folder.path, data, join(folder.path, 'temporary')]) await chown(path, ids.uid, ids.gid);
  }
  const args = ['-e', 'stderr', '-p', folder.path, '-c', join(folder.path, 'nginx.conf')];
  const server = await startServer(join(root, '/usr/sbin/nginx'), args, { port, env, user: ids });
  return {
    config: {
      type: 'webdav',
      'webdav-url': `http://127.0.0.1:${port}`,
      'webdav-username': USER,
      'webdav-password': PASSWORD,
    },
    broken: {
      wrongCredentials: { config: { 'webdav-password': 'wrong' } },
      unreachable: { config: { 'webdav-url': 'http://127.0.0.1:1' } },
    },
    stored: (path) => storedFiles(data, path),
    answersDiffer: {
      'a file is stored below a missing collection': 'it says 500, RFC 4918 says 409',
      'a file is moved': 'it says 204, RFC 4918 says 201',
      'a file is moved below a missing collection': 'it makes the collection',
      'a file is deleted': 'as above: it is elsewhere',
    },
    fileCount: 300,
    stop: async () => {
      await server.stop();
      await folder.remove();
    },
  };
}

function configOf({ port, folder, module }: { port: number; folder: string; module: string }): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return [
    `load_module ${module};`,
    'daemon off;',
    'worker_processes 2;',
    `pid ${folder}/nginx.pid;`,
    'events {}',
    'http {',
    '  access_log off;',
    ...temporary.map((name) => `  ${name}_temp_path ${folder}/temporary/${name};`),
    '  client_max_body_size 0;',
    '  server {',
    `    listen 127.0.0.1:${port};`,
    '    location / {',
    `      root ${folder}/data;`,
    '      dav_methods PUT DELETE MKCOL COPY MOVE;',
    '      dav_ext_methods PROPFIND OPTIONS;',
    '      dav_access user:rw group:r all:r;',
    '      auth_basic dav;',
    `      auth_basic_user_file ${folder}/passwords;`,
    '    }',
    '  }',
    '}',
    '',
  ].join('\n');
}
