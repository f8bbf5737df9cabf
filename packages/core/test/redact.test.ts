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
    const text = (length: number): string => ` ${part.repeat(length / part.length)}`;
    /** Of the processor, so that other processes count for nothing. */
    const cpuUs = (content: string, times: number): number => {
      let best = Infinity;
      for (let run = 0; run < 7; run += 1) {
        const start = process.cpuUsage();
        for (let time = 0; time < times; time += 1) redact(content);
        const { user, system } = process.cpuUsage(start);
        best = Math.min(best, user + system);
      }
      return best;
    };
    // As many characters in one text as in 32: as much work, where the square would be 32 times.
    expect(cpuUs(text(640_000), 1) / cpuUs(text(20_000), 32)).toBeLessThan(12);
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
