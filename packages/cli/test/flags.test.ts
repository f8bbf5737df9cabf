import { describe, expect, test } from 'vitest';
import { UsageError } from '../src/util/usage-error.ts';
import { formatHelp } from '../src/flags/help.ts';
import { duration, flag, integer, level, list, oneOf, text, timestamp, txid } from '../src/flags/kinds.ts';
import { parseFlags } from '../src/flags/parse.ts';

const specs = {
  o: { kind: text('PATH'), help: 'Output.' },
  once: { kind: flag(), help: 'Once.' },
  parallelism: { kind: integer('NUM', 8, 1), help: 'Workers.' },
  txid: { kind: txid('TXID'), help: 'Transaction.' },
  level: { kind: level('LEVEL'), help: 'Level.' },
  interval: { kind: duration('DURATION', 1000), help: 'Interval.' },
  timestamp: { kind: timestamp('TIME'), help: 'Time.' },
  mode: { kind: oneOf('MODE', ['none', 'quick', 'full'], 'none'), help: 'Mode.' },
  plugin: { kind: list('NAME'), help: 'Plugins.' },
};
const parse = (...argv: string[]): ReturnType<typeof parseFlags<typeof specs>> =>
  parseFlags('litestream test', specs, argv);

describe('command lines in the style of Go', () => {
  test.each([
    [['-o', 'x', 'db'], 'x'],
    [['--o', 'x', 'db'], 'x'],
    [['-o=x', 'db'], 'x'],
    [['--o=x', 'db'], 'x'],
    [['-o=', 'db'], ''],
    [['-o=a=b', 'db'], 'a=b'],
    [['-o', '-x', 'db'], '-x'],
    [['-o', 'y', '-o', 'x', 'db'], 'x'],
  ])('%j', (argv, value) => {
    const { values, args } = parse(...argv);
    expect(values.o).toBe(value);
    expect(args).toEqual(['db']);
  });

  test('switches take no argument, unless it is joined to them', () => {
    expect(parse('-once', 'db')).toMatchObject({ values: { once: true }, args: ['db'] });
    expect(parse('--once=false', 'db')).toMatchObject({ values: { once: false }, args: ['db'] });
    expect(parse('-once=T').values.once).toBe(true);
  });

  test('the first argument ends the flags, and so does --', () => {
    expect(parse('db', '-once')).toMatchObject({ values: { once: false }, args: ['db', '-once'] });
    expect(parse('--', '-once')).toMatchObject({ values: { once: false }, args: ['-once'] });
    expect(parse('-', '-once').args).toEqual(['-', '-once']);
  });

  test('values have their types and defaults', () => {
    expect(parse().values).toEqual({
      o: undefined,
      once: false,
      parallelism: 8,
      txid: undefined,
      level: 0,
      interval: 1000,
      timestamp: undefined,
      mode: 'none',
      plugin: [],
    });
    const { values, given } = parse('-parallelism=3', '-txid=00000000000000Ff', '-level=all', '-interval=1m30s');
    expect(values).toMatchObject({ parallelism: 3, txid: 255n, level: 'all', interval: 90_000 });
    expect([...given]).toEqual(['parallelism', 'txid', 'level', 'interval']);
    expect(parse('-timestamp', '').values.timestamp).toBeUndefined();
    expect(parse('-timestamp', '2026-11-24T01:02:03.5+02:00').values.timestamp?.toISOString()).toBe(
      '2026-11-23T23:02:03.500Z',
    );
    expect(parse('-plugin', 'a', '-plugin=b').values.plugin).toEqual(['a', 'b']);
  });

  test.each(['-h', '--h', '-help', '--help'])('%s asks for help', (word) => {
    expect(parse('-once', word, '-bogus').help).toBe(true);
  });

  test.each([
    [['-bogus'], 'flag provided but not defined: -bogus'],
    [['--bogus=1'], 'flag provided but not defined: -bogus'],
    [['-onec'], 'flag provided but not defined: -onec (did you mean -once?)'],
    [['-v'], 'flag provided but not defined: -v'],
    [['-__proto__'], 'flag provided but not defined: -__proto__'],
    [['---o'], 'bad flag syntax: ---o'],
    [['-=x'], 'bad flag syntax: -=x'],
    [['-o'], 'flag needs an argument: -o'],
    [['-once=maybe'], 'invalid boolean value "maybe" for -once: parse error'],
    [['-parallelism', 'x'], 'invalid value "x" for flag -parallelism: parse error'],
    [['-parallelism', '0'], 'invalid value "0" for flag -parallelism: must be at least 1'],
    [['-txid', 'zz'], 'invalid value "zz" for flag -txid: invalid txid format, it has 16 hex digits'],
    [['-level', '11'], 'invalid value "11" for flag -level: level must be between 0 and 9'],
    [['-level', '-1'], 'invalid value "-1" for flag -level: level must be between 0 and 9'],
    [['-level', 'x'], 'invalid value "x" for flag -level: invalid level: must be 0-9 or "all"'],
    [['-interval', '5'], 'invalid value "5" for flag -interval: parse error, write it like 500ms, 30s or 1h30m'],
    [['-interval', '0s'], 'invalid value "0s" for flag -interval: must be greater than 0'],
    [['-mode', 'deep'], 'invalid value "deep" for flag -mode: must be one of none, quick, full'],
    [
      ['-timestamp', '2026-11-24'],
      'invalid value "2026-11-24" for flag -timestamp: must be a time such as 2026-01-31T14:05:00Z, "2026-01-31 14:05" (local), "yesterday 14:05" or "2h ago"',
    ],
    [
      ['-timestamp', '2026-02-30T00:00:00Z'],
      'invalid value "2026-02-30T00:00:00Z" for flag -timestamp: must be a time such as 2026-01-31T14:05:00Z, "2026-01-31 14:05" (local), "yesterday 14:05" or "2h ago"',
    ],
    [
      ['-timestamp', '2026-13-24T00:00:00Z'],
      'invalid value "2026-13-24T00:00:00Z" for flag -timestamp: must be a time such as 2026-01-31T14:05:00Z, "2026-01-31 14:05" (local), "yesterday 14:05" or "2h ago"',
    ],
  ])('%j is refused', (argv, message) => {
    let error: unknown;
    try {
      parse(...argv);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ message, attempt: 'litestream test -h' });
  });
});

test('help shows what is there', () => {
  const help = formatHelp(
    'litestream',
    { about: 'Does things.', usage: ['test [arguments] DB'], examples: [{ about: 'Do it.', line: 'test a.db' }] },
    { o: specs.o, once: specs.once },
  );
  expect(help).toBe(
    'Does things.\n\nUsage:\n\n\tlitestream test [arguments] DB\n\nArguments:\n\n\t-o PATH\n\t    Output.\n\n' +
      '\t-once\n\t    Once.\n\nExamples:\n\n\t# Do it.\n\t$ litestream test a.db\n',
  );
});
