import { parseReplicaUrl } from '@litestream/core';
import { expect, test } from 'vitest';

import { parseWebdavConfig, webdav, webdavConfigFromUrl } from '../src/index.ts';

const fromUrl = (url: string): unknown => parseWebdavConfig(webdavConfigFromUrl(parseReplicaUrl(url)));

test('the plugin says what it answers to', () => {
  expect(webdav()).toMatchObject({
    apiVersion: 1,
    name: '@litestream/client-webdav',
    schemes: ['webdav', 'webdavs'],
    types: ['webdav'],
  });
});

test('a config as upstream documents it', () => {
  const config = {
    type: 'webdav',
    'webdav-url': 'https://host/remote.php/dav/files/me',
    'webdav-username': 'me',
    'webdav-password': 'secret',
    path: '/backups/app',
    'sync-interval': '1s',
  };
  expect(parseWebdavConfig(config)).toMatchObject({
    url: 'https://host/remote.php/dav/files/me',
    username: 'me',
    password: 'secret',
    path: '/backups/app',
  });
});

test('a URL: login, port, path; webdavs is HTTPS', () => {
  expect(fromUrl('webdav://me:p%40ss@host:8080/a%20b')).toMatchObject({
    url: 'http://host:8080',
    username: 'me',
    password: 'p@ss',
    path: '/a b',
  });
  expect(fromUrl('webdavs://host/app')).toMatchObject({ url: 'https://host', path: '/app' });
});

test('what is missing or no HTTP URL is named, and its value not shown', () => {
  expect(() => parseWebdavConfig({ path: '/app' })).toThrow('webdav-url required for webdav replica');
  expect(() => parseWebdavConfig({ 'webdav-url': 'ftp://me:secret@host' })).toThrow(/must be an http or https URL$/);
});
