import { silentLogger } from '@litestream/core';
import { nearest } from '@litestream/core/nearest';
import { describe, expect, test } from 'vitest';
import { formatTable } from '../src/text/table.ts';
import { shellWords } from '../src/text/shell-words.ts';
import { parseYaml } from '../src/config/yaml.ts';
import { compileGlob } from '../src/text/glob.ts';
import { formatDuration, parseDuration } from '../src/units/duration.ts';
import { formatSize, parseSize } from '../src/units/size.ts';
import { formatBar } from '../src/terminal/progress.ts';
import { showSnapshots } from '../src/terminal/snapshot-progress.ts';
import type { Terminal } from '../src/terminal/terminal.ts';

describe('durations in the notation of Go', () => {
  test.each([
    ['0', 0],
    ['5s', 5000],
    ['30s', 30_000],
    ['1478s', 1_478_000],
    ['-5s', -5000],
    ['+5s', 5000],
    ['5.0s', 5000],
    ['5.6s', 5600],
    ['5.s', 5000],
    ['.5s', 500],
    ['1m0s', 60_000],
    ['3h30m', 12_600_000],
    ['10.5s4m', 250_500],
    ['-2m3.4s', -123_400],
    ['1h2m3s4ms5us6ns', 3_723_004.005_006],
    ['39h9m14.425s', 140_954_425],
    ['14.471µs', 0.014471],
  ])('%s is %d ms', (text, durationMs) => {
    expect(parseDuration(text)).toBeCloseTo(durationMs, 6);
  });

  test.each(['', '3', '-', 's', '.', '-.', '.s', '+.s', '1d', '1x', '1 s', ' 1s', '1s ', '1e3s', '3000000h', '1s-2s'])(
    'no duration: %j',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  test.each([
    [0, '0s'],
    [1e-6, '1ns'],
    [0.0011, '1.1µs'],
    [2.2, '2.2ms'],
    [3300, '3.3s'],
    [245_000, '4m5s'],
    [245_001, '4m5.001s'],
    [18_367_001, '5h6m7.001s'],
    [3_600_000, '1h0m0s'],
    [86_400_000, '24h0m0s'],
    [-1500, '-1.5s'],
    [29_999.985469, '29.999985469s'],
    [59_999.9999999, '1m0s'],
  ])('%d ms prints as %s', (durationMs, text) => {
    expect(formatDuration(durationMs)).toBe(text);
  });
});

describe('sizes', () => {
  test.each([
    ['42', 42],
    ['42MB', 42e6],
    ['42MiB', 44_040_192],
    ['42mb', 42e6],
    ['42 MB', 42e6],
    ['42M', 42e6],
    ['42Mi', 44_040_192],
    ['1.5GB', 1.5e9],
    ['1,005.03 MB', 1_005_030_000],
    ['12.5 TB', 12.5e12],
    ['100B', 100],
    [' 5KiB ', 5120],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(['', 'MB', '5XB', '-5MB', '5..0MB', '1e3', '99999999PB'])('no size: %j', (text) => {
    expect(parseSize(text)).toBeUndefined();
  });

  test.each([
    [0, '0 B'],
    [9, '9 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [4096, '4.1 kB'],
    [32_768, '33 kB'],
    [82_854_982, '83 MB'],
    [1_080_000_000, '1.1 GB'],
  ])('%d bytes print as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });
});

test('tables have columns two spaces apart and no space at the end of a line', () => {
  const rows = [
    ['path', 'replica'],
    ['/ä', 's3'],
    ['/long/path.db', 'file'],
  ];
  expect(formatTable(rows)).toBe('path           replica\n/ä             s3\n/long/path.db  file\n');
});

test('the nearest word is one that was meant', () => {
  const words = ['sync-interval', 'snapshot', 'path', 'pattern'];
  expect(nearest('sync-intervall', words)).toBe('sync-interval');
  expect(nearest('snaphsot', words)).toBe('snapshot');
  expect(nearest('pahts', words)).toBe('path');
  expect(nearest('compression', words)).toBeUndefined();
});

test.each([
  [`node app.js`, ['node', 'app.js']],
  [`sh -c 'exit 7'`, ['sh', '-c', 'exit 7']],
  [`a "b c" d\\ e`, ['a', 'b c', 'd e']],
  [`a "b \\"c\\" \\d" ''`, ['a', 'b "c" \\d', '']],
  [`  a\t\nb  `, ['a', 'b']],
  [`a 'b`, undefined],
  [`a \\`, undefined],
  [``, []],
])('words of %j', (line, words) => {
  expect(shellWords(line)).toEqual(words);
});

test.each([
  ['*.db', 'app.db', true],
  ['*.db', 'app.db-wal', false],
  ['*.db', '.db', true],
  ['app?.db', 'app1.db', true],
  ['app?.db', 'app.db', false],
  ['[a-c]*.sqlite', 'b1.sqlite', true],
  ['[^a-c]*.sqlite', 'b1.sqlite', false],
  ['a+(b).db', 'a+(b).db', true],
  ['\\*.db', '*.db', true],
  ['\\*.db', 'x.db', false],
  ['[&&]', '&', true],
  ['*', 'ünïcode 😀.db', true],
])('pattern %s on %s: %s', (pattern, name, matches) => {
  expect(compileGlob(pattern)(name)).toBe(matches);
});

test.each(['[', '[a', 'a\\', '[]'])('pattern %s is refused', (pattern) => {
  expect(() => compileGlob(pattern)).toThrow(/not well-formed/);
});

test('a bar for a snapshot, while there is one', () => {
  const shown: (string | undefined)[] = [];
  const terminal: Terminal = {
    out: () => undefined,
    err: () => undefined,
    status: (line) => void shown.push(line),
    logLine: () => () => undefined,
    stdoutIsTty: true,
    stderrIsTty: true,
    columns: 80,
  };
  let nowMs = 0;
  const show = showSnapshots({ terminal, logger: silentLogger, now: () => nowMs });
  for (const bytesDone of [0, 5e6]) {
    show({ bytesDone, bytesTotal: 10e6 });
    nowMs += 120;
  }
  show({ bytesDone: 10e6, bytesTotal: 10e6 });
  show(undefined);
  expect(shown[0]).toMatch(/^snapshot ━+─* +50 % {2}5.0 MB of 10 MB/);
  expect(shown.at(-1)).toBeUndefined();
  shown.length = 0;
  show({ bytesDone: 0, bytesTotal: 10e6 });
  show(undefined);
  expect(shown).toEqual([]);
});

test('a bar keeps within the terminal', () => {
  expect(formatBar('restore', 45e6, 100e6, 10e6, 5500, 80)).toBe(
    'restore ━━━━━━━━━━━━━━────────────────  45 %  45 MB of 100 MB  10 MB/s  6s left',
  );
  for (let columns = 10; columns < 120; columns += 1) {
    expect(formatBar('restore', 45e6, 100e6, 10e6, 5500, columns).length).toBeLessThan(columns);
  }
  const narrow = [60, 50, 40, 30, 20].map((columns) => formatBar('restore', 45e6, 100e6, 10e6, 5500, columns));
  expect(narrow).toEqual([
    'restore ━━━━━─────  45 %  45 MB of 100 MB  10 MB/s  6s left',
    'restore  45 %  45 MB of 100 MB  10 MB/s  6s left',
    'restore  45 %  45 MB  10 MB/s  6s left',
    'restore  45 %  6s left',
    'restore  45 %',
  ]);
  expect(formatBar('snapshot', 1.2e6, undefined, 6e5, undefined, 80)).toBe('snapshot  1.2 MB  600 kB/s');
});

test('a pattern takes no longer for one name than for another', () => {
  const matches = compileGlob(`${'*a'.repeat(40)}*b`);
  expect(matches('a'.repeat(250))).toBe(false);
  expect(matches(`${'a'.repeat(250)}b`)).toBe(true);
});

test.each([
  [
    'aliases of aliases',
    `a: &a [1,1,1,1,1,1,1,1,1,1]\n${Array.from('bcdefghi')
      .map((name, i) => `${name}: &${name} [${Array(10).fill(`*${'abcdefgh'[i]}`).join()}]\n`)
      .join('')}`,
  ],
  ['an alias of itself', 'a: &a [*a]\n'],
  ['a key that changes the prototype', 'dbs: []\n__proto__: {plugins: [./evil.mjs]}\n'],
])('a config with %s is refused', (_, text) => {
  expect(() => parseYaml(text, 'litestream.yml')).toThrow(/litestream\.yml:\d+:\d+: not a usable config/);
});
