import { describe, expect, test } from 'vitest';
import { pathOfFileUrl } from '../src/config/file-url.ts';
import { parseConfig } from '../src/config/load.ts';

const FILE = '/etc/litestream.yml';
const warningsOf = (text: string): readonly string[] => parseConfig(text, { file: FILE, expandEnv: true }).warnings;

describe('file URLs are read as upstream reads them', () => {
  test.each([
    ['file:///backups/app', '/backups/app'],
    ['file://backups/app', '/backups/app'],
    ['file://./app', '/app'],
    ['file:app/copy', 'app/copy'],
    ['file:/a/../b', '/b'],
    ['FILE:///a//b', '/a/b'],
    ['file:///a b', '/a%20b'],
    ['file:///a%20b', '/a%20b'],
    ['file:///a b%20c', '/a%20b%20c'],
    ['file:///ü{x}', '/%C3%BC%7Bx%7D'],
    ["file:///a'(b)", "/a'(b)"],
    ["file:///a'(b) c", '/a%27%28b%29%20c'],
    ['file:///q?x=1', '/q'],
    ['file:///f#g', '/f#g'],
  ])('%s', (url, path) => {
    expect(pathOfFileUrl(url)).toBe(path);
  });

  test('a host is warned about, since it is a part of the path', () => {
    const replica = 'replica: {url: "file://backups/app"}';
    expect(warningsOf(`dbs: [{path: /a, ${replica}}]`)).toEqual([
      `${FILE}:1:33: file://backups/app means the folder /backups/app: write it as file:///backups/app`,
    ]);
    expect(warningsOf('dbs: [{path: /a, replica: {url: "file:///backups/app"}}]')).toEqual([]);
  });
});

describe('keys that nothing reads are warned about', () => {
  test.each([
    ['sync-intervall: 1s\n', '1:1: unknown key sync-intervall: did you mean sync-interval?'],
    [
      'dbs:\n  - path: /a\n    replica:\n      path: /r\n      regoin: eu\n',
      '5:7: unknown key dbs[0].replica.regoin: did you mean region?',
    ],
    [
      'dbs: [{path: /a, restore-if-db-not-exist: true, replica: {path: /r}}]',
      '1:18: unknown key dbs[0].restore-if-db-not-exist: did you mean restore-if-db-not-exists?',
    ],
    [
      'dbs: [{path: /a, replicas: [{path: /r, snapshot-interval: 1h}]}]',
      '1:40: key dbs[0].replicas[0].snapshot-interval is no longer used: use snapshot.interval',
    ],
    [
      'dbs: [{path: /a, replica: {path: /r, retention: 24h}}]',
      '1:38: key dbs[0].replica.retention is no longer used: use snapshot.retention',
    ],
    [
      'dbs: [{path: /a, region: eu, replica: {path: /r}}]',
      '1:18: unknown key dbs[0].region: it belongs in another place, check the indentation',
    ],
    [
      'dbs: [{path: /a, max-checkpoint-page-count: 9, replica: {path: /r}}]',
      '1:18: key dbs[0].max-checkpoint-page-count is no longer used: use truncate-page-n',
    ],
    ['logging: {colour: true}\n', '1:11: unknown key logging.colour: it is ignored'],
    ['snapshot: {retentoin: 1h}\n', '1:12: unknown key snapshot.retentoin: did you mean retention?'],
    ['dbz: []\n', '1:1: unknown key dbz: did you mean dbs?'],
    ['snapshto:\n  interval: 1h\n', '1:1: unknown key snapshto: did you mean snapshot?'],
    ['logging:\n  levle: debug\n', '2:3: unknown key logging.levle: did you mean level?'],
    ['socket: {enable: true}\n', '1:10: unknown key socket.enable: did you mean enabled?'],
    ['validation: {intervl: 1h}\n', '1:14: unknown key validation.intervl: did you mean interval?'],
    ['retention: {enabeld: false}\n', '1:13: unknown key retention.enabeld: did you mean enabled?'],
    ['levels: [{interval: 1s, intervall: 2s}]\n', '1:25: unknown key levels[0].intervall: did you mean interval?'],
    [
      'dbs: [{path: /a, snapshot: {retentoin: 1h}, replica: {path: /r}}]',
      '1:29: unknown key dbs[0].snapshot.retentoin: did you mean retention?',
    ],
    [
      'dbs: [{path: /a, replica: {path: /r, age: {recipient: []}}}]',
      '1:44: unknown key dbs[0].replica.age.recipient: did you mean recipients?',
    ],
  ])('%j', (text, warning) => {
    expect(warningsOf(text)).toEqual([`${FILE}:${warning}`]);
  });

  test('not where only a foreign plugin can know', () => {
    expect(warningsOf('dbs: [{path: /a, replica: {type: acme, shelf: 3}}]')).toEqual([]);
    expect(warningsOf('dbs: [{path: /a, replica: {url: "acme://x", shelf: 3}}]')).toEqual([]);
  });

  test('not for old keys that are harmless', () => {
    expect(warningsOf('dbs: [{path: /a, replicas: [{name: s3, path: /r, validation-interval: 6h}]}]')).toEqual([]);
  });
});

describe('variables that are not set are warned about', () => {
  const config = (path: string): string => `# $IN_A_COMMENT\ndbs:\n  - path: ${path}\n    replica: {path: /r}\n`;
  test.each([
    ['${UNSET_ROOT}/app.db', ['3: variable UNSET_ROOT is not set: it is replaced by nothing']],
    ['/$UNSET_A/$UNSET_B/${UNSET_A} # $UNSET_C', ['UNSET_A', 'UNSET_B'].map(unset)],
    [
      '/pass$word',
      ['3: a $ stands before the name of no variable that is set (-no-expand-env keeps it): it is replaced by nothing'],
    ],
    ['/$PID/${PATH}/5$', []],
  ])('%s', (path, warnings) => {
    expect(warningsOf(config(path))).toEqual(warnings.map((each) => `${FILE}:${each}`));
  });

  test('not if they are not expanded', () => {
    expect(parseConfig(config('/$UNSET_ROOT'), { file: FILE, expandEnv: false }).warnings).toEqual([]);
  });

  test('and named beside the error that they led to', () => {
    const wrong = 'dbs:\n  - path: /a\n    replica:\n      url: ${UNSET_URL}\n';
    expect(() => parseConfig(wrong, { file: FILE, expandEnv: true })).toThrow(
      expect.objectContaining({ hint: expect.stringContaining(`${FILE}:4: variable UNSET_URL is not set`) }),
    );
  });
});

function unset(name: string): string {
  return `3: variable ${name} is not set: it is replaced by nothing`;
}

describe('what works, but hardly as meant, is logged as Litestream (Go) logs it', () => {
  const noticesOf = (text: string): readonly unknown[] => parseConfig(text, { file: FILE, expandEnv: true }).notices;
  const [HALF, HOUR] = [1_800_000, 3_600_000];
  const shorter = (field: string, retention: number, interval: number): unknown => ({
    message: 'snapshot retention is shorter than snapshot interval',
    fields: { field, retention, interval },
  });

  test.each([
    ['snapshot: {interval: 1h, retention: 30m}\n', [shorter('snapshot.retention', HALF, HOUR)]],
    ['snapshot: {interval: 48h}\n', [shorter('snapshot.retention', 24 * HOUR, 48 * HOUR)]],
    ['snapshot: {interval: 1h, retention: 1h}\n', []],
    ['{}\n', []],
    [
      'dbs: [{path: /a, snapshot: {interval: 1h, retention: 30m}, replica: {path: /r}}]\n',
      [shorter('snapshot.retention', HALF, HOUR), shorter('dbs[/a].snapshot.retention', HALF, HOUR)],
    ],
  ])('%s', (text, expected) => {
    expect(noticesOf(text)).toEqual(expected);
  });

  test.each([
    ['5s', 5000],
    ['"1m30s"', 90_000],
    ['1000h', 3_600_000_000],
  ])('shutdown-timeout: %s', (value, expected) => {
    const { config, notices } = parseConfig(`shutdown-timeout: ${value}\n`, { file: FILE, expandEnv: true });
    expect(config.shutdownTimeoutMs).toBe(expected);
    expect(notices).toEqual([]);
  });

  test.each([
    ['30', '30'],
    ['0s', '0s'],
    ['-5s', '-5s'],
    ['soon', 'soon'],
    ['true', 'true'],
    ['[5s]', ['5s']],
  ])('shutdown-timeout: %s is none, and the default is used', (text, value) => {
    const { config, notices } = parseConfig(`shutdown-timeout: ${text}\n`, { file: FILE, expandEnv: true });
    expect(config.shutdownTimeoutMs).toBe(30_000);
    const fields = { value, default: 30_000 };
    expect(notices).toEqual([{ message: 'invalid shutdown-timeout; using default', fields }]);
  });
});
