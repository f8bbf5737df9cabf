import { expect, test } from 'vitest';
import { namesOf } from '../src/names.ts';

test.each([
  ['redis', 'litestream-client-redis', 'litestream-client-redis', 'redis', 'redis', 'Redis'],
  ['litestream-client-redis', 'litestream-client-redis', 'litestream-client-redis', 'redis', 'redis', 'Redis'],
  [
    '@acme/litestream-client-redis',
    '@acme/litestream-client-redis',
    'litestream-client-redis',
    'redis',
    'redis',
    'Redis',
  ],
  ['@acme/client-big-disk', '@acme/client-big-disk', 'client-big-disk', 'big-disk', 'bigDisk', 'BigDisk'],
  ['big-disk2', 'litestream-client-big-disk2', 'litestream-client-big-disk2', 'big-disk2', 'bigDisk2', 'BigDisk2'],
  ['new', 'litestream-client-new', 'litestream-client-new', 'new', 'newClient', 'New'],
])('%s', (name, packageName, folder, type, camel, pascal) => {
  expect(namesOf(name)).toEqual({ packageName, folder, type, camel, pascal });
});

test('the type can be another one', () => {
  expect(namesOf('@acme/storage', 'acme')).toMatchObject({ packageName: '@acme/storage', type: 'acme', camel: 'acme' });
});

test.each(['', 'Redis', 'a b', '../x', '@acme/', '@acme', 'a'.repeat(215), '.x'])('%j is no package', (name) => {
  expect(() => namesOf(name)).toThrow('is not the name of an npm package');
});

test.each(['3d', 'a_b', 'a--b', 'a-', 'x.y'])('%j is no type', (type) => {
  expect(() => namesOf('x', type)).toThrow('cannot be the type of a replica');
});

test.each(['s3', 'litestream-client-gcs', '@acme/file'])('the type of %s is taken', (name) => {
  expect(() => namesOf(name)).toThrow("belong to Litestream's own client");
});
