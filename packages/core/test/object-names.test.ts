import { describe, expect, test } from 'vitest';

import {
  formatObjectTime,
  ltxObjectName,
  parseLtxObjectName,
  parseObjectTime,
} from '../src/storage/contract/object-names.ts';

describe('object names', () => {
  test.each([
    [1n, 1n, '0000000000000001-0000000000000001.ltx'],
    [0x1fn, 0xabcn, '000000000000001f-0000000000000abc.ltx'],
    [0xffff_ffff_ffff_fffen, 0xffff_ffff_ffff_ffffn, 'fffffffffffffffe-ffffffffffffffff.ltx'],
  ])('%s-%s is %s', (minTxid, maxTxid, name) => {
    expect(ltxObjectName({ minTxid, maxTxid })).toBe(name);
    expect(parseLtxObjectName(name)).toEqual({ minTxid, maxTxid });
    expect(parseLtxObjectName(`app/0000/${name}`)).toEqual({ minTxid, maxTxid });
  });

  test.each([
    '',
    'lock.json',
    '1-1.ltx',
    '000000000000001F-0000000000000020.ltx',
    '0000000000000001-0000000000000001.ltx.tmp',
  ])('%o is no LTX file', (name) => {
    expect(parseLtxObjectName(name)).toBeUndefined();
  });
});

describe('object times', () => {
  test.each([
    ['2026-11-24T00:00:58.650Z', '2026-11-24T00:00:58.65Z'],
    ['2026-11-24T00:00:50.000Z', '2026-11-24T00:00:50Z'],
    ['2026-11-24T00:00:10.100Z', '2026-11-24T00:00:10.1Z'],
    ['2026-11-24T00:00:10.001Z', '2026-11-24T00:00:10.001Z'],
  ])('%s is written as %s and read back', (iso, text) => {
    expect(formatObjectTime(new Date(iso))).toBe(text);
    expect(parseObjectTime(text)).toEqual(new Date(iso));
  });

  test('reads nanoseconds and offsets, refuses what is no time', () => {
    expect(parseObjectTime('2026-11-24T01:00:00.123456789+01:00')).toEqual(new Date('2026-11-24T00:00:00.123Z'));
    for (const text of [undefined, '', 'yesterday', '2026-11-24', '2026-13-45T00:00:00Z']) {
      expect(parseObjectTime(text)).toBeUndefined();
    }
  });

  test.each([
    '2026-02-29T00:00:00Z',
    '2026-02-30T12:00:00+02:00',
    '2026-04-31T00:00:00.5Z',
    '2026-11-24T24:00:00Z',
    '2026-11-24T23:60:00Z',
    '2026-12-31T23:59:60Z',
    '2026-11-24T00:00:00+24:00',
  ])('%s, which no calendar has, is no other moment', (text) => {
    expect(parseObjectTime(text)).toBeUndefined();
  });

  test('29 February of a leap year is a day', () => {
    expect(parseObjectTime('2028-02-29T23:59:59-01:00')).toEqual(new Date('2028-03-01T00:59:59Z'));
  });
});
