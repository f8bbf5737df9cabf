import { parseReplicaUrl } from '@litestream/core';
import { expect, test } from 'vitest';

import { parseSftpConfig, sftp, sftpConfigFromUrl } from '../src/index.ts';

const fromUrl = (url: string): unknown => parseSftpConfig(sftpConfigFromUrl(parseReplicaUrl(url)));

test('the plugin says what it answers to', () => {
  expect(sftp()).toMatchObject({ apiVersion: 1, name: '@litestream/client-sftp', schemes: ['sftp'], types: ['sftp'] });
});

test('a config as upstream documents it', () => {
  const config = {
    type: 'sftp',
    host: 'files.example:2222',
    user: 'me',
    'key-path': '~/.ssh/id_ed25519',
    'host-key': 'ssh-ed25519 AAAA',
    path: '/abs/path',
    'concurrent-writes': false,
    'sync-interval': '1s',
  };
  expect(parseSftpConfig(config)).toMatchObject({
    host: 'files.example:2222',
    user: 'me',
    keyPath: '~/.ssh/id_ed25519',
    hostKey: 'ssh-ed25519 AAAA',
    path: '/abs/path',
    concurrentWrites: false,
  });
});

test('a URL: login, port, and an absolute path', () => {
  expect(fromUrl('sftp://me:p%40ss@files.example:2222/srv/app%20db')).toMatchObject({
    host: 'files.example:2222',
    user: 'me',
    password: 'p@ss',
    path: '/srv/app db',
  });
  expect(fromUrl('sftp://me@host/app?key-path=/id&concurrent-writes=no')).toMatchObject({
    keyPath: '/id',
    concurrentWrites: false,
  });
});

test('a URL without a slash means the folder that the login leads to, one with a slash the root', () => {
  const paths = ['sftp://me@host', 'sftp://me@host:2222', 'sftp://me@host/'].map(
    (url) => (fromUrl(url) as { path?: string }).path,
  );
  expect(paths).toEqual([undefined, undefined, '/']);
});

test('what is missing or contradictory is named', () => {
  expect(() => fromUrl('sftp://host/app')).toThrow('user required for sftp replica');
  expect(() => parseSftpConfig({ user: 'me' })).toThrow('host required for sftp replica');
  expect(() => parseSftpConfig({ host: 'h', user: 'u', 'host-key': 'k', 'skip-verify': true })).toThrow(
    'cannot specify host-key & skip-verify',
  );
});
