import { ConfigReader, LitestreamError, definePlugin } from '@litestream/core';
import type { LitestreamPlugin, ReplicaUrl } from '@litestream/core';

import type { WebdavOptions } from './options.ts';
import { WebdavReplicaClient } from './webdav-client.ts';

/** The plugin for `type: webdav`, `webdav://` (HTTP) and `webdavs://` (HTTPS). */
export function webdav(): LitestreamPlugin<WebdavOptions> {
  return definePlugin({
    name: '@litestream/client-webdav',
    apiVersion: 1,
    schemes: ['webdav', 'webdavs'],
    types: ['webdav'],
    configSchema: { parse: parseWebdavConfig },
    configFromUrl: webdavConfigFromUrl,
    create: (options, { env, stagingPath }) =>
      new WebdavReplicaClient({ ...options, env, stagingPath: options.stagingPath ?? stagingPath }),
  });
}

export default webdav;

/** Validates a config from YAML or from a URL. Fields of other backends are allowed and ignored. */
export function parseWebdavConfig(config: unknown): WebdavOptions {
  const read = new ConfigReader(config, 'webdav');
  const url = read.required('webdav-url');
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? '')) {
    // The value may hold a password, so it is not shown.
    throw new LitestreamError('webdav-url of the webdav replica must be an http or https URL', {
      code: 'CONFIG_INVALID',
      backend: 'webdav',
      hint: 'For example: webdav-url: https://host/remote.php/dav/files/me',
    });
  }
  return {
    url,
    username: read.string('webdav-username'),
    password: read.string('webdav-password'),
    path: read.string('path'),
    skipVerify: read.boolean('skip-verify'),
    stagingPath: read.string('staging-path'),
  };
}

/** `webdav://[user[:password]@]host[:port]/path`. */
export function webdavConfigFromUrl(url: ReplicaUrl): Record<string, unknown> {
  return {
    webdavUrl: url.host === '' ? undefined : `${url.scheme === 'webdavs' ? 'https' : 'http'}://${url.host}`,
    webdavUsername: url.username,
    webdavPassword: url.password,
    path: `/${url.path}`,
    ...Object.fromEntries(url.query),
  };
}
