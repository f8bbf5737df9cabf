import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatWithOffset, parsePointInTime } from '../src/units/point-in-time.ts';

/** A Tuesday, 15:30:20 in Berlin. */
const NOW_MS = Date.UTC(2026, 11, 1, 14, 30, 20, 500);
const { TZ } = process.env;

function parsed(text: string): string {
  return parsePointInTime(text, NOW_MS).toISOString();
}

afterEach(() => {
  if (TZ === undefined) delete process.env['TZ'];
  else process.env['TZ'] = TZ;
});

describe('in Berlin', () => {
  beforeEach(() => {
    process.env['TZ'] = 'Europe/Berlin';
  });

  test.each([
    ['2026-01-31T14:05:00Z', '2026-01-31T14:05:00.000Z'],
    ['2026-01-31T14:05:00.25+02:00', '2026-01-31T12:05:00.250Z'],
    ['2026-01-31 14:05 +0200', '2026-01-31T12:05:00.000Z'],
    ['2026-01-31 14:05:09 UTC', '2026-01-31T14:05:09.000Z'],
    ['2026-01-31 14:05', '2026-01-31T13:05:00.000Z'],
    ['2026-07-31T14:05:09.5', '2026-07-31T12:05:09.500Z'],
    ['yesterday 14:05', '2026-11-30T13:05:00.000Z'],
    ['Today 9:00:30', '2026-12-01T08:00:30.000Z'],
    ['2h ago', '2026-12-01T12:30:20.500Z'],
    ['1h30m ago', '2026-12-01T13:00:20.500Z'],
    ['0s ago', '2026-12-01T14:30:20.500Z'],
    ['90 minutes ago', '2026-12-01T13:00:20.500Z'],
    ['1 day ago', '2026-11-30T14:30:20.500Z'],
    ['2 weeks ago', '2026-11-17T14:30:20.500Z'],
    // The last and the first time before and after clocks are set.
    ['2026-03-29 01:59:59', '2026-03-29T00:59:59.000Z'],
    ['2026-03-29 03:00', '2026-03-29T01:00:00.000Z'],
    ['2026-10-25 01:59:59', '2026-10-24T23:59:59.000Z'],
    ['2026-10-25 03:00', '2026-10-25T02:00:00.000Z'],
  ])('%s is %s', (text, expected) => {
    expect(parsed(text)).toBe(expected);
  });

  test.each([
    '2026-11-24',
    '2026-02-30 10:00',
    '2026-13-01 10:00',
    '2026-11-24 24:00',
    '2026-11-24 10:60',
    '14:05',
    'tomorrow 14:05',
    'yesterday',
    '-2h ago',
    'two hours ago',
    '5 ago',
    '2 fortnights ago',
    '99999999999999 weeks ago',
    '2026-01-31 14:05 CET',
    '2026-02-30 14:05 +01:00',
  ])('%s is refused', (text) => {
    expect(() => parsed(text)).toThrow(/^must be a time such as 2026-01-31T14:05:00Z/);
  });

  test('refuses a local time that clocks skip', () => {
    expect(() => parsed('2026-03-29 02:30')).toThrow('does not exist in the time zone of this machine');
  });

  test('refuses a local time that exists twice, and names both', () => {
    expect(() => parsed('2026-10-25 02:30')).toThrow(
      'exists twice in the time zone of this machine, because clocks were set back: ' +
        'use 2026-10-25 02:30:00 +02:00 or 2026-10-25 02:30:00 +01:00',
    );
    expect(parsed('2026-10-25 02:30:00 +02:00')).toBe('2026-10-25T00:30:00.000Z');
  });
});

test.each([
  ['America/St_Johns', '2026-01-31 10:35:00 -03:30'],
  ['Asia/Kathmandu', '2026-01-31 19:50:00 +05:45'],
  ['Pacific/Kiritimati', '2026-02-01 04:05:00 +14:00'],
  ['UTC', '2026-01-31 14:05:00 +00:00'],
])('a time is shown with the offset of %s, and reads as the same', (zone, expected) => {
  process.env['TZ'] = zone;
  const time = new Date('2026-01-31T14:05:00Z');
  expect(formatWithOffset(time)).toBe(expected);
  expect(parsePointInTime(expected)).toEqual(time);
  expect(parsePointInTime(expected.slice(0, 19))).toEqual(time);
});
