import { describe, expect, test } from 'vitest';
import { binarySize, decimal, word } from '../src/util/flags.ts';

describe('sizes are powers of 1024', () => {
  test.each([
    ['100', 100],
    ['100B', 100],
    ['1KB', 1024],
    ['500MB', 500 * 2 ** 20],
    ['1.5GB', 1.5 * 2 ** 30],
    ['2gb', 2 * 2 ** 30],
    ['1GiB', 2 ** 30],
    ['.5K', 512],
    ['1TB', 2 ** 40],
  ])('%s', (text, bytes) => {
    expect(binarySize('SIZE', 1).parse(text)).toBe(bytes);
  });

  test.each(['', 'MB', '-1MB', '1XB', '1 2MB', '0', '1e3', '99999999TB'])('not %j', (text) => {
    expect(() => binarySize('SIZE', 1).parse(text)).toThrow(/parse error|greater than 0/);
  });
});

test('decimals have bounds', () => {
  const ratio = decimal('RATIO', 0.2, 0, 1);
  expect(['0', '1', '0.25', '.5', '1.', '5e-1'].map((text) => ratio.parse(text))).toEqual([0, 1, 0.25, 0.5, 1, 0.5]);
  for (const text of ['1.01', '-0.1']) expect(() => ratio.parse(text)).toThrow('must be between 0 and 1');
  for (const text of ['', 'half', 'NaN', '1,5', '0x1']) expect(() => ratio.parse(text)).toThrow('parse error');
});

test('words are taken in any case', () => {
  const mode = word('MODE', ['PASSIVE', 'FULL'], 'PASSIVE');
  expect(mode.parse('full')).toBe('FULL');
  expect(() => mode.parse('fully')).toThrow('must be one of PASSIVE, FULL');
});
