import { parseReplicaUrl } from '@litestream/core';
import { describe, expect, test } from 'vitest';

import { oss, parseOssConfig } from '../src/index.ts';
import { resolveSettings } from '../src/session.ts';

const keys = { accessKeyId: 'id', secretAccessKey: 'secret' };
const settingsOf = (options: object, env = {}): ReturnType<typeof resolveSettings> =>
  resolveSettings({ bucket: 'b', ...keys, ...options }, env);

describe('URLs', () => {
  test.each([
    ['oss://bucket/a/b', { bucket: 'bucket', path: 'a/b' }],
    ['oss://bucket.oss-cn-shanghai.aliyuncs.com/a', { bucket: 'bucket', region: 'cn-shanghai', path: 'a' }],
    [
      'oss://bucket.oss-cn-shanghai-internal.aliyuncs.com/a',
      { bucket: 'bucket', region: 'cn-shanghai', internal: true, path: 'a' },
    ],
    [
      'oss://bucket/a?endpoint=http://127.0.0.1:9000&region=us-west-1&part-size=10MiB',
      { endpoint: 'http://127.0.0.1:9000', region: 'us-west-1', partSize: 10 * 1024 * 1024 },
    ],
  ])('%s', (url, expected) => {
    expect(parseOssConfig(oss().configFromUrl?.(parseReplicaUrl(url)))).toMatchObject(expected);
  });

  test.each(['oss://oss-cn-shanghai.aliyuncs.com/a', 'oss:///a', 'oss://bucket/a?signature-version=2'])(
    '%s is refused',
    (url) => {
      expect(() => parseOssConfig(oss().configFromUrl?.(parseReplicaUrl(url)))).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID' }) as Error,
      );
    },
  );
});

describe('settings', () => {
  test('the region is part of the signature, with or without its prefix', () => {
    expect(settingsOf({}).sdk.region).toBe('oss-cn-hangzhou');
    expect(settingsOf({ region: 'oss-eu-central-1' }).sdk.region).toBe('oss-eu-central-1');
    expect(settingsOf({ region: 'eu-central-1' }).sdk.region).toBe('oss-eu-central-1');
  });

  test('an endpoint without a scheme is https; an address has the bucket in the path', () => {
    expect(settingsOf({ endpoint: 'oss.example.com' }).sdk).toMatchObject({
      endpoint: 'https://oss.example.com/',
      secure: true,
      sldEnable: false,
    });
    expect(settingsOf({ endpoint: 'http://127.0.0.1:9' }).sdk).toMatchObject({ secure: false, sldEnable: true });
    expect(settingsOf({ endpoint: 'http://[::1]:9' }).sdk.sldEnable).toBe(true);
    expect(settingsOf({ endpoint: 'http://localhost:9' }).sdk.sldEnable).toBe(true);
    expect(settingsOf({ endpoint: 'http://127.0.0.1:9', forcePathStyle: false }).sdk.sldEnable).toBe(false);
    expect(() => settingsOf({ endpoint: 'http://me:secret@host' })).toThrow(/without credentials/);
  });

  test('no key begins with a slash: the service refuses such names', () => {
    expect(settingsOf({ path: '/a/b' }).prefix).toBe('a/b/');
    // One at the end stays, as upstream has it.
    expect(settingsOf({ path: 'a/b/' }).prefix).toBe('a/b//');
    expect(settingsOf({ path: '' }).prefix).toBe('');
  });

  test("credentials: the config's, else those of Alibaba's variables", () => {
    const bare = { accessKeyId: undefined, secretAccessKey: undefined };
    const oss = { OSS_ACCESS_KEY_ID: 'o', OSS_ACCESS_KEY_SECRET: 'os', OSS_SESSION_TOKEN: 'ot' };
    const cloud = { ALIBABA_CLOUD_ACCESS_KEY_ID: 'c', ALIBABA_CLOUD_ACCESS_KEY_SECRET: 'cs' };
    expect(settingsOf({}, oss).sdk).toMatchObject({ accessKeyId: 'id', accessKeySecret: 'secret' });
    expect(settingsOf(bare, { ...cloud, ...oss }).sdk).toMatchObject({ accessKeyId: 'o', stsToken: 'ot' });
    expect(settingsOf(bare, cloud).sdk).toMatchObject({ accessKeyId: 'c', accessKeySecret: 'cs' });
    expect(() => settingsOf(bare)).toThrow(expect.objectContaining({ code: 'UNAUTHORIZED' }) as Error);
  });
});
