import { describe, expect, onTestFinished, test } from 'vitest';
import { formatJson, formatPretty, formatText } from '../src/log/format.ts';
import { createLogger } from '../src/log/logger.ts';
import { LoggedSignal } from '../src/log/value.ts';
import type { LoggerOptions } from '../src/log/logger.ts';
import { quoteIfNeeded } from '../src/log/quote.ts';
import { redact, registerSecret, registerUrlSecrets } from '../src/util/secrets.ts';

const time = new Date('2026-11-23T23:43:00.120Z');

function capture(options: Partial<LoggerOptions> = {}): { lines: string[]; options: LoggerOptions } {
  const lines: string[] = [];
  return {
    lines,
    options: {
      level: 'info',
      type: 'text',
      source: false,
      colour: false,
      write: (line) => lines.push(line),
      ...options,
    },
  };
}

// What Go 1.25's slog.TextHandler prints for each value.
describe('quoting of slog', () => {
  test.each([
    ['plain', 'plain'],
    ['', '""'],
    ['two words', '"two words"'],
    ['a=b', '"a=b"'],
    ['say "x"', '"say \\"x\\""'],
    ['C:\\data', 'C:\\data'],
    ['C:\\my data', '"C:\\\\my data"'],
    ['tab\tnew\nline', '"tab\\tnew\\nline"'],
    ['bell\u0007null\u0000', '"bell\\anull\\x00"'],
    ['\u001B[31m', '"\\x1b[31m"'],
    ['[/tmp/a.db]', '[/tmp/a.db]'],
    ['größe', 'größe'],
    ['日本語', '日本語'],
    ['😀', '😀'],
    ['no\u00A0break', '"no\\u00a0break"'],
    ['line\u2028end', '"line\\u2028end"'],
    ['soft\u00ADhyphen', '"soft\\u00adhyphen"'],
  ])('%j', (text, quoted) => {
    expect(quoteIfNeeded(text)).toBe(quoted);
  });
});

describe('lines', () => {
  const fields = {
    path: '/tmp/my app.db',
    'sync-interval': 1000,
    txid: '0000000000000001',
    size: 567n,
    snap: true,
    at: time,
    dbs: ['/a', '/b'],
    nothing: undefined,
    error: new Error('cannot sync', { cause: new Error('disk full') }),
  };
  const record = { time, level: 'warn', message: 'replicating to', fields } as const;

  test('text', () => {
    expect(formatText(record)).toBe(
      'time=2026-11-23T23:43:00.120Z level=WARN msg="replicating to" path="/tmp/my app.db" sync-interval=1s ' +
        'txid=0000000000000001 size=567 snap=true at=2026-11-23T23:43:00.120Z dbs="[/a /b]" nothing=<nil> ' +
        'error="cannot sync: disk full"',
    );
  });

  test('json', () => {
    expect(formatJson(record)).toBe(
      '{"time":"2026-11-23T23:43:00.120Z","level":"WARN","msg":"replicating to","path":"/tmp/my app.db",' +
        '"sync-interval":1000000000,"txid":"0000000000000001","size":567,"snap":true,"at":"2026-11-23T23:43:00.120Z",' +
        '"dbs":["/a","/b"],"nothing":null,"error":"cannot sync: disk full"}',
    );
    expect(formatJson({ time, level: 'info', message: 'litestream', fields: { level: 'debug' } })).toBe(
      '{"time":"2026-11-23T23:43:00.120Z","level":"INFO","msg":"litestream","level":"debug"}',
    );
  });

  test('json: neighbours with a dot in their names are one object, as a group of slog is', () => {
    const fields = { level: 1, 'txid.min': 'a', 'txid.max': 'b', size: 3, 'file.path': 'c' };
    expect(formatJson({ time, level: 'info', message: 'm', fields })).toBe(
      '{"time":"2026-11-23T23:43:00.120Z","level":"INFO","msg":"m","level":1,"txid":{"min":"a","max":"b"},"size":3,' +
        '"file":{"path":"c"}}',
    );
  });

  test.each([
    ['Asia/Kolkata', '2026-11-24T05:13:00.120+05:30'],
    ['America/New_York', '2026-11-23T18:43:00.120-05:00'],
    ['UTC', '2026-11-23T23:43:00.120Z'],
  ])('times are in the time zone of the machine: %s', (zone, expected) => {
    const before = process.env['TZ'];
    onTestFinished(() => {
      if (before === undefined) delete process.env['TZ'];
      else process.env['TZ'] = before;
    });
    process.env['TZ'] = zone;
    expect(formatText({ time, level: 'info', message: 'm', fields: {} })).toBe(`time=${expected} level=INFO msg=m`);
  });

  test('a signal is its name in text and its number in json', () => {
    const record = {
      time,
      level: 'info',
      message: 'm',
      fields: { signal: new LoggedSignal('terminated', 15) },
    } as const;
    expect(formatText(record)).toMatch(/ signal=terminated$/);
    expect(formatJson(record)).toMatch(/"signal":15\}$/);
  });

  test('pretty', () => {
    const short = { time, level: 'info', message: 'initialized db', fields: { path: '/a b' } } as const;
    expect(formatPretty(short, false)).toMatch(/^\d\d:43:00 INF initialized db path="\/a b"$/);
    expect(formatPretty(short, true)).toMatch(
      // oxlint-disable-next-line no-control-regex -- colours are what is tested
      /^\u001B\[2m\d\d:43:00\u001B\[0m \u001B\[92mINF\u001B\[0m initialized db \u001B\[2mpath=\u001B\[0m"\/a b"$/,
    );
  });
});

describe('loggers', () => {
  test('lower levels are silent, children carry fields', () => {
    const { lines, options } = capture({ level: 'debug' });
    const logger = createLogger(options).child({ system: 'store' });
    logger.trace('no');
    logger.debug('shown', { db: 'a.db' });
    logger.child({ db: 'b.db' }).error('bad');
    expect(lines.map((line) => line.replace(/^time=\S+ /, ''))).toEqual([
      'level=DEBUG msg=shown system=store db=a.db',
      'level=ERROR msg=bad system=store db=b.db',
    ]);
  });

  test('the source of a line is the place that logged it', () => {
    const { lines, options } = capture({ source: true });
    createLogger(options).info('here');
    expect(lines[0]).toMatch(/level=INFO source=\S*log\.test\.ts:\d+ msg=here$/);
  });

  test('secrets never reach a line', () => {
    registerSecret('canary/one+=two');
    registerUrlSecrets('sftp://user:canary-three@host/path?token=canary-four&region=eu');
    for (const type of ['text', 'json', 'pretty'] as const) {
      const { lines, options } = capture({ type });
      const url = `https://x/?sig=${encodeURIComponent('canary/one+=two')}`;
      const cause = new Error('canary-four at region=eu');
      createLogger(options).error('canary-three', { key: 'canary/one+=two', url, error: new Error('no', { cause }) });
      expect(lines.join()).not.toMatch(/canary/);
      expect(lines.join()).toContain('region=eu');
    }
  });

  test('short secrets are hidden where they stand alone, and ordinary words stay', () => {
    registerSecret('kq7');
    registerSecret('k');
    registerSecret(undefined);
    expect(redact('kq7 of kq77 at "kq7" and k')).toBe('*** of kq77 at "***" and k');
    expect(redact(`u:k@host, password="k", k of n`)).toBe('u:***@host, password="***", k of n');
  });

  test('secrets are hidden in every notation, and no number is', () => {
    const secret = `p4"ss/w'ord +%2F <é>`;
    registerSecret(secret);
    registerSecret('123456789');
    const form = new URLSearchParams({ a: secret }).toString().slice(2);
    for (const shown of [
      secret,
      encodeURIComponent(secret),
      encodeURIComponent(secret).replaceAll(/%../g, (code) => code.toLowerCase()),
      encodeURI(secret),
      form,
      JSON.stringify(secret),
    ]) {
      for (const type of ['text', 'json', 'pretty'] as const) {
        const { lines, options } = capture({ type });
        createLogger(options).error(`said ${shown}`, {
          error: new Error(`x${shown}x`),
          list: [shown],
          deep: { shown },
        });
        expect(lines.join(), `${type} ${shown}`).not.toMatch(/p4|w.ord/);
      }
    }
    const { lines, options } = capture({ type: 'json' });
    createLogger(options).info('size', { size: 123_456_789 });
    expect(JSON.parse(lines.join())).toMatchObject({ size: 123_456_789 });
  });
});
