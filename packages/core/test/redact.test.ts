import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { LitestreamError, redact, redactError, secretsOf } from '@litestream/core';

const SECRET = 'canary-of-redact';

describe('redact', () => {
  test('hides what looks like a credential without being told', () => {
    const text = `GET http://user:${SECRET}@host/x?token=${SECRET}&a=1 Authorization: Bearer ${SECRET} sig=x`;
    expect(redact(text)).toBe(
      'GET http://[redacted]@host/x?token=[redacted]&a=1 Authorization: [redacted] sig=[redacted]',
    );
  });

  test.each([
    ['names', 'a'],
    ['schemes', 'a.'],
    ['words of secrets', ' secret'],
    ['userinfo', 'x://u'],
    ['headers', 'authorization '],
  ])('takes time in proportion to a text of any length: %s', (_, part) => {
    const time = (length: number): number => {
      const text = ` ${part.repeat(length / part.length)}`;
      let best = Infinity;
      for (let run = 0; run < 5; run += 1) {
        const start = performance.now();
        redact(text);
        best = Math.min(best, performance.now() - start);
      }
      return best;
    };
    // 64 times the text: about 64 times as long, where the square would be 4,096 times.
    expect(time(1_280_000) / time(20_000)).toBeLessThan(1000);
  });
});

test('secrets of a config are found by the names of keys, and in URLs under any key', () => {
  const config = {
    bucket: 'b',
    endpoint: 'https://name:one@host/?token=two&region=three',
    'webdav-url': 'https://four@host/x?sig=five',
    'sas-token': 'six',
    nested: { password: 'seven' },
    'key-path': '/etc/key',
    host: 'sftp://user@host',
  };
  expect(secretsOf(config).sort()).toEqual(['five', 'four', 'one', 'seven', 'six', 'two']);
});

test('an error loses secrets in all its texts and causes, stays the same, and a circle ends', () => {
  const sdk: Error & { request?: object; cause?: unknown } = Object.assign(new Error(`sent ${SECRET}`), {
    code: 'ECONNREFUSED',
    request: { headers: { cookie: SECRET } },
  });
  sdk.cause = new Error(`deep ${SECRET}`, { cause: sdk });
  const inner = new LitestreamError(`inner ${SECRET}`, { code: 'NETWORK', cause: sdk });
  const error = new LitestreamError(`outer ${SECRET}`, {
    code: 'NETWORK',
    hint: `use ${SECRET}`,
    object: `${SECRET}/x`,
    cause: inner,
  });
  expect(redactError(error, [SECRET])).toBe(error);
  expect(inspect(error, { depth: 30, showHidden: true })).not.toContain(SECRET);
  expect(inspect(error, { depth: 30 })).toContain('ECONNREFUSED');
});
