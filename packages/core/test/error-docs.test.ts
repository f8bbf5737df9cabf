/** `docs/reference/errors.md` and the list of codes say the same. */
import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { classifyError } from '../src/storage/errors/classify.ts';
import { ERROR_CODES } from '../src/util/error.ts';

const page = readFileSync(new URL('../../../docs/reference/errors.md', import.meta.url), 'utf8');
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim()));

describe('docs/reference/errors.md', () => {
  it('describes each code, in order, and no other', () => {
    expect(rows.map((cells) => cells[1])).toEqual(ERROR_CODES.map((code) => `\`${code}\``));
    expect(ERROR_CODES).toEqual([...ERROR_CODES].sort());
  });

  it('says for each what it means, whether it is retried, and what to do', () => {
    for (const [, code, meaning = '', retried = '', advice = ''] of rows) {
      expect(meaning.length, code).toBeGreaterThan(20);
      expect(retried, code).toMatch(/^(yes|no)/);
      expect(advice, code).toMatch(/\.$/);
    }
  });

  it('agrees with what is retried', () => {
    const shapes: [string, object][] = [
      ['ALREADY_EXISTS', { code: 'EEXIST' }],
      ['BUCKET_MISSING', { name: 'NoSuchBucket' }],
      ['CONFIG_INVALID', { statusCode: 301 }],
      ['DISK_FULL', { code: 'ENOSPC' }],
      ['INTERNAL', {}],
      ['INVALID_ARGUMENT', { statusCode: 400 }],
      ['NETWORK', { code: 'ECONNREFUSED' }],
      ['NOT_FOUND', { statusCode: 404 }],
      ['PERMISSION_DENIED', { code: 'EROFS' }],
      ['PRECONDITION_FAILED', { statusCode: 412 }],
      ['THROTTLED', { statusCode: 429 }],
      ['TIMEOUT', { code: 'ETIMEDOUT' }],
      ['UNAUTHORIZED', { statusCode: 401 }],
      ['UNAVAILABLE', { statusCode: 503 }],
      ['UNSUPPORTED', { statusCode: 501 }],
    ];
    for (const [code, shape] of shapes) {
      const found = classifyError(Object.assign(new Error('x'), shape));
      expect(found.code).toBe(code);
      const row = rows.find((cells) => cells[1] === `\`${code}\``);
      expect(row?.[3]?.startsWith('yes'), code).toBe(found.retryable);
    }
  });
});
