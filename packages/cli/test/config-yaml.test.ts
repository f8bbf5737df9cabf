/** What YAML reads from a config, each compared with Litestream (Go) 0.5.18. */
import { expect, test } from 'vitest';
import { parseConfig } from '../src/config/load.ts';
import type { LoadedConfig } from '../src/config/load.ts';
import { describeError } from '../src/util/describe-error.ts';

const load = (text: string): LoadedConfig => parseConfig(text, { file: 'c.yml', expandEnv: false });
const DATABASE = 'dbs: [{path: /a, replica: {path: /r}}]\n';

function errorOf(text: string): string {
  try {
    load(text);
  } catch (error) {
    return describeError(error);
  }
  throw new Error(`accepted: ${text}`);
}

/** Kinds of YAML 1.1 and 1.2 that are no text by themselves. */
const LOOKS_OTHER = `
2024-05-01
2024-5-1
2024-02-30
2024-05-01T10:00:00Z
2024-05-01 10:00:00.5 +02:00
2001-12-14t21:59:43.10-05:00
0600
0o600
08
0b101
0x1F
-0x1f
1_000
0x_1F
+5
-0
1e3
1.50
.5
5.
685_230.15
.inf
-.inf
.NaN
12:30
1:2:3
190:20:30.15
yes
No
on
OFF
y
n
TRUE
false
12345678901234567890
`
  .trim()
  .split('\n');

test.each(LOOKS_OTHER)('%s is the text as written where a key takes text', (written) => {
  const { config, warnings } = load(
    `access-key-id: ${written}\ndbs:\n  - path: /a\n    replica: {type: s3, bucket: ${written}, secret-access-key: ${written}}\n` +
      `addr-hosts: [${written}]\nexec: ${written}\n`,
  );
  const [replica] = config.databases[0]?.replicas ?? [];
  expect(replica?.settings).toMatchObject({
    bucket: written,
    'secret-access-key': written,
    'access-key-id': written,
  });
  expect(config).toMatchObject({ exec: written, addrHosts: [written] });
  expect(warnings).toEqual([]);
});

test.each([
  ['!!timestamp 2024-05-01', '2024-05-01'],
  ['!!str 2024', '2024'],
  ['!!binary aGVsbG8=', 'hello'],
  ['"2024-05-01"', '2024-05-01'],
  ["'0600'", '0600'],
])('%s is the text %s', (written, expected) => {
  expect(load(`exec: ${written}\n`).config.exec).toBe(expected);
});

test.each(['~', 'null', 'Null', ''])('%j says nothing', (written) => {
  expect(load(`exec: ${written}\n`).config.exec).toBeUndefined();
});

test.each([
  ['0600', 0o600],
  ['0o600', 0o600],
  ['0x180', 0o600],
  ['384', 0o600],
])('permissions: %s', (written, expected) => {
  expect(load(`socket: {permissions: ${written}}\n`).config.socket.permissions).toBe(expected);
});

test.each(['12:30', '2024-05-01', 'yes', '1.5'])('%s is no whole number', (written) => {
  expect(errorOf(`socket: {permissions: ${written}}\n`)).toBe('c.yml:1:23: socket.permissions: must be a whole number');
});

test.each([
  ['behind a line ---', `${DATABASE}---\n# other\nexec: other\n`, ['c.yml:4:1']],
  ['behind ... and ---', `${DATABASE}...\n---\nexec: other\n`, ['c.yml:4:1']],
  ['that is broken', `${DATABASE}---\nexec: [\n`, ['c.yml:3:1']],
  ['that is empty', `${DATABASE}---\n`, []],
  ['that is a comment', `${DATABASE}---\n# nothing\n`, []],
])('a second document %s does not count', (_, text, places) => {
  const { config, warnings } = load(text);
  expect(config.databases.map(({ path }) => path)).toEqual(['/a']);
  expect(config.exec).toBeUndefined();
  expect(warnings).toEqual(
    places.map((place) => `${place}: only the first YAML document is read; all others are ignored`),
  );
});

test('the first document counts also where it is empty', () => {
  const { config, warnings } = load(`---\n# nothing\n---\n${DATABASE}`);
  expect(config.databases).toEqual([]);
  expect(warnings).toEqual(['c.yml:4:1: only the first YAML document is read; all others are ignored']);
});

test('a document may begin with a line ---', () => {
  const { config, warnings } = load(`# ours\n---\n${DATABASE}`);
  expect(config.databases).toHaveLength(1);
  expect(warnings).toEqual([]);
});
