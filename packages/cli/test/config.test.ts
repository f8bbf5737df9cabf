import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { expandEnv } from '../src/config/expand-env.ts';
import { loadConfig, parseConfig } from '../src/config/load.ts';
import { expandPath } from '../src/config/paths.ts';
import type { Config } from '../src/config/types.ts';
import { describeError } from '../src/util/describe-error.ts';

const FILE = '/etc/litestream.yml';
const parse = (text: string): Config => parseConfig(text, { file: FILE, expandEnv: true }).config;
const errorOf = (text: string): string => {
  try {
    parse(text);
  } catch (error) {
    return describeError(error).replace(`${FILE}:`, '');
  }
  throw new Error(`accepted:\n${text}`);
};

const environment = { ...process.env };
afterEach(() => {
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
  Object.assign(process.env, environment);
});

describe('variables', () => {
  const env = { HOME: '/home/x', A: 'a', EMPTY: '' };
  test.each([
    ['$A', 'a'],
    ['${A}', 'a'],
    ['x$A.y', 'xa.y'],
    ['$A$A', 'aa'],
    ['${A}b$EMPTY', 'ab'],
    ['$MISSING|${MISSING}|', '||'],
    ['$PID', String(process.pid)],
    ['cost: 5$', 'cost: 5$'],
    ['a $ b', 'a $ b'],
    ['$%', '$%'],
    ['$1x', 'x'],
    ['$$A', 'A'],
    ['${', ''],
    ['${}', ''],
  ])('%s is %s', (text, expanded) => {
    expect(expandEnv(text, env)).toBe(expanded);
  });

  test('a config is expanded before it is parsed, unless that is turned off', () => {
    process.env['CONFIG_TEST'] = '/data';
    const text = 'dbs:\n  - path: $CONFIG_TEST/a.db\n    replica: {url: "file://${CONFIG_TEST}/replica"}\n';
    expect(parse(text).databases[0]).toMatchObject({ path: '/data/a.db', replicas: [{ url: 'file:///data/replica' }] });
    const { config } = parseConfig(text, { file: FILE, expandEnv: false });
    expect(config.databases[0]?.path).toBe(resolve('$CONFIG_TEST/a.db'));
  });
});

test('paths', () => {
  expect(expandPath('/a/b.db')).toBe('/a/b.db');
  expect(expandPath('b.db')).toBe(resolve('b.db'));
  expect(expandPath('~/b.db')).toBe(`${homedir()}/b.db`);
  expect(expandPath('~')).toBe(homedir());
  expect(expandPath('~b.db')).toBe(resolve('~b.db'));
  expect(expandPath('sqlite:///a/b.db')).toBe('/a/b.db');
  expect(expandPath('sqlite3://b.db')).toBe(resolve('b.db'));
  expect(expandPath('sqlite://~/b.db')).toBe(`${homedir()}/b.db`);
});

describe('configs as people write them', () => {
  test.each(['', '# nothing\n', 'dbs:\n', 'dbs: []\n', '---\n'])('empty: %j has every default', (text) => {
    expect(parse(text)).toEqual({
      path: FILE,
      databases: [],
      logging: { level: 'info', levelText: '', type: 'text', stderr: false, source: false },
      plugins: [],
      exec: undefined,
      execCredentials: false,
      addr: undefined,
      addrToken: undefined,
      addrHosts: [],
      mcpAddr: undefined,
      mcpToken: undefined,
      mcpOutputDir: undefined,
      socket: {
        enabled: false,
        path: '/var/run/litestream.sock',
        permissions: 0o600,
        endpoints: [],
        heapSnapshots: false,
      },
      levels: [{ intervalMs: 30_000 }, { intervalMs: 300_000 }, { intervalMs: 3_600_000 }],
      snapshot: { intervalMs: 86_400_000, retentionMs: 86_400_000 },
      validationIntervalMs: undefined,
      l0RetentionMs: 300_000,
      l0RetentionCheckIntervalMs: 15_000,
      verifyCompaction: false,
      retentionEnabled: true,
      heartbeat: undefined,
      shutdownTimeoutMs: 30_000,
      shutdownSyncTimeoutMs: 30_000,
      shutdownSyncIntervalMs: 500,
    });
  });

  test('everything at once', () => {
    const config = parse(`
addr: ":9090"
mcp-addr: 127.0.0.1:3001
exec: node app.js
socket: {enabled: yes, path: /tmp/l.sock, permissions: 0640}
levels:
  - interval: 10s
  - interval: 1m
snapshot: {interval: 1h, retention: 720h}
validation: {interval: 5m}
l0-retention: 0s
l0-retention-check-interval: 1m
verify-compaction: on
retention: {enabled: no}
heartbeat-url: https://example.com/ping
heartbeat-interval: 2m
shutdown-sync-timeout: 0s
shutdown-sync-interval: 1s
logging: {level: WARN, type: json, stderr: true, source: true}
plugins: ['@acme/client', ./client.js]
sync-interval: 5s
max-sync-ltx-files: 7
auto-recover: true
dbs:
  - path: /data/a.db
    meta-path: ~/meta
    staging-path: ~/staging
    monitor-interval: 500ms
    checkpoint-interval: 30s
    busy-timeout: 2s
    min-checkpoint-page-count: 2000
    truncate-page-n: 0
    max-sync-wal-bytes: 1048576
    restore-if-db-not-exists: true
    replica: {path: /backup/a, sync-interval: 1m}
  - dir: /data/tenants
    pattern: "*.db"
    recursive: true
    watch: true
    meta-dir: /var/meta
    replica: {url: "file:///backup/tenants"}
`);
    expect(config).toMatchObject({
      addr: ':9090',
      mcpAddr: '127.0.0.1:3001',
      exec: 'node app.js',
      socket: { enabled: true, path: '/tmp/l.sock', permissions: 0o640 },
      levels: [{ intervalMs: 10_000 }, { intervalMs: 60_000 }],
      snapshot: { intervalMs: 3_600_000, retentionMs: 2_592_000_000 },
      validationIntervalMs: 300_000,
      l0RetentionMs: 0,
      l0RetentionCheckIntervalMs: 60_000,
      verifyCompaction: true,
      retentionEnabled: false,
      heartbeat: { url: 'https://example.com/ping', intervalMs: 120_000 },
      shutdownSyncTimeoutMs: 0,
      shutdownSyncIntervalMs: 1000,
      logging: { level: 'warn', levelText: 'WARN', type: 'json', stderr: true, source: true },
      plugins: ['@acme/client', './client.js'],
      databases: [
        {
          path: '/data/a.db',
          metaPath: `${homedir()}/meta`,
          stagingPath: `${homedir()}/staging`,
          monitorIntervalMs: 500,
          checkpointIntervalMs: 30_000,
          busyTimeoutMs: 2000,
          minCheckpointPageCount: 2000,
          truncatePageCount: 0,
          maxSyncWalBytes: 1_048_576,
          restoreIfDbNotExists: true,
          replicas: [
            { type: 'file', path: '/backup/a', syncIntervalMs: 60_000, maxSyncLtxFiles: 7, autoRecover: true },
          ],
        },
        {
          path: undefined,
          directory: { path: '/data/tenants', pattern: '*.db', recursive: true, watch: true, metaDir: '/var/meta' },
          replicas: [{ type: 'file', url: 'file:///backup/tenants', syncIntervalMs: 5000 }],
        },
      ],
    });
  });

  test('a lease is asked for with true or with details, by a replica or for all of them', () => {
    const leases = (yaml: string): unknown[] =>
      parse(yaml).databases.flatMap(({ replicas }) => replicas.map(({ lease, settings }) => ({ lease, settings })));
    const plain = { lease: { ttlMs: undefined, owner: undefined }, settings: {} };
    const none = { lease: undefined, settings: {} };
    expect(leases('dbs: [{path: /a.db, replica: {path: /r}}]')).toEqual([none]);
    expect(leases('dbs: [{path: /a.db, replica: {path: /r, lease: yes}}]')).toEqual([plain]);
    expect(
      leases(`
lease: true
dbs:
  - path: /a.db
    replicas: [{path: /r}, {path: /s, lease: false}, {path: /t, lease: {ttl: 10s, owner: web-1}}]
`),
    ).toEqual([plain, none, { lease: { ttlMs: 10_000, owner: 'web-1' }, settings: {} }]);
    expect(() => parse('dbs: [{path: /a.db, replica: {path: /r, lease: {ttl: 500ms}}}]')).toThrow(
      /dbs\[0\]\.replica\.lease\.ttl: the ttl of a lease must be at least 1s \(got 500ms\)/,
    );
    expect(() => parse('dbs: [{path: /a.db, replica: {path: /r, lease: 30s}}]')).toThrow(/lease/);
  });

  test('settings at the top level are defaults of every replica, and those of a replica win', () => {
    const [a, b] = parse(`
access-key-id: 0123
secret-access-key: top-secret-key
region: eu-west-1
bucket: shared
skip-verify: true
part-size: 10MB
dbs:
  - path: /a.db
    replica: {type: s3, path: a, region: us-east-1, concurrency: 3}
  - path: /b.db
    replicas:
      - url: s3://other/b
        access-key-id: ""
`).databases.flatMap((database) => database.replicas);
    expect(a).toMatchObject({
      type: 's3',
      path: 'a',
      settings: {
        'access-key-id': '0123',
        'secret-access-key': 'top-secret-key',
        region: 'us-east-1',
        bucket: 'shared',
        'skip-verify': true,
        'part-size': '10MB',
        concurrency: 3,
      },
    });
    expect(b?.settings).toEqual({
      'access-key-id': '0123',
      'secret-access-key': 'top-secret-key',
      region: 'eu-west-1',
      'skip-verify': true,
      'part-size': '10MB',
    });
  });

  test.each([
    ['{url: "gs://b/p"}', 'gs'],
    ['{type: gcs, bucket: b}', 'gcs'],
    ['{type: s3, url: "abs://a@b/p"}', 'abs'],
    ['{path: /p}', 'file'],
    ['{url: "WEBDAVS://h/p"}', 'webdavs'],
  ])('the type of %s is %s', (replica, type) => {
    expect(parse(`dbs: [{path: /a.db, replica: ${replica}}]`).databases[0]?.replicas[0]?.type).toBe(type);
  });

  test('several replicas of one database', () => {
    const config = parse('dbs: [{path: /a.db, replicas: [{path: /r1}, {url: "s3://b/r2"}]}]');
    expect(config.databases[0]?.replicas.map((replica) => replica.type)).toEqual(['file', 's3']);
  });

  test('YAML 1.1: repeated keys, anchors, merges, octal, yes and no', () => {
    const config = parse(`
x-defaults: &defaults
  sync-interval: 10s
  region: eu
addr: "1"
addr: :2
dbs:
  - path: /a.db
    replica:
      <<: *defaults
      url: s3://b/a
      region: us
`);
    expect(config.addr).toBe(':2');
    expect(config.databases[0]?.replicas[0]).toMatchObject({ syncIntervalMs: 10_000, settings: { region: 'us' } });
  });

  test('a section without content takes no default away', () => {
    expect(parse('snapshot:\nsocket:\nlogging:\nretention:\nlevels:\n')).toEqual(parse(''));
  });

  test('snapshot settings of a database hold for all, unless the top level has its own', () => {
    const dbs = 'dbs: [{path: /a.db, snapshot: {interval: 2h, retention: 3h}, replica: {path: /r}}]\n';
    expect(parse(dbs).snapshot).toEqual({ intervalMs: 7_200_000, retentionMs: 10_800_000 });
    expect(parse(`snapshot: {interval: 1h}\n${dbs}`).snapshot).toEqual({
      intervalMs: 3_600_000,
      retentionMs: 10_800_000,
    });
  });

  test('LOG_LEVEL wins over the file', () => {
    process.env['LOG_LEVEL'] = 'trace';
    expect(parse('logging: {level: error}').logging).toMatchObject({ level: 'trace', levelText: 'trace' });
  });

  test('a bad LOG_LEVEL is named as such, whatever the file says', () => {
    process.env['LOG_LEVEL'] = 'bogus';
    expect(() => parse('logging: {level: error}')).toThrow(/^LOG_LEVEL: unknown log level "bogus": use /);
  });

  test('a number without a unit is nanoseconds, as Go has it', () => {
    expect(
      parse('sync-interval: 1000000\ndbs: [{path: /a, replica: {path: /r}}]').databases[0]?.replicas[0],
    ).toMatchObject({ syncIntervalMs: 1 });
  });
});

describe('bad configs name the place and what is wrong', () => {
  const replica = 'replica: {path: /r}';
  test.each([
    [
      'dbs:\n  - path: a.db\n  bad\n',
      '3:1: not valid YAML: All mapping items must start at the same column. Check the indentation, colons and quotes around that place.',
    ],
    [
      'dbs:\n\t- path: a\n',
      '2:1: not valid YAML: Tabs are not allowed as indentation. Check the indentation, colons and quotes around that place.',
    ],
    [
      'addr: "x\n',
      '2:1: not valid YAML: Missing closing "quote. Check the indentation, colons and quotes around that place.',
    ],
    ['dbs: 5\n', '1:6: dbs: must be a list'],
    ['- a\n- b\n', '1:1: must be a section with keys below it'],
    ['dbs:\n  - path: [1]\n', '2:11: dbs[0].path: must be text'],
    ['dbs:\n  - a.db\n', '2:5: dbs[0]: must be a section with keys below it'],
    ['verify-compaction: maybe\n', '1:20: verify-compaction: must be true or false'],
    [`dbs: [{path: /a, truncate-page-n: many, ${replica}}]`, '1:35: dbs[0].truncate-page-n: must be a whole number'],
    [`dbs: [{path: /a, truncate-page-n: 1.5, ${replica}}]`, '1:35: dbs[0].truncate-page-n: must be a whole number'],
    [
      'dbs:\n  - path: a.db\n    replica:\n      path: /r\n      sync-interval: 1x\n',
      '5:22: dbs[0].replica.sync-interval: cannot read "1x" as a duration, write it like 500ms, 30s or 1h30m',
    ],
    [
      `dbs: [{path: /a, replica: {path: /r, part-size: 5XB}}]`,
      '1:49: dbs[0].replica.part-size: cannot read "5XB" as a size, write it like 512KB, 5MB or 64MiB',
    ],
    [
      `dbs: [{path: /a.db, replica: {path: /r, sync-interval: 0s}}]`,
      '1:56: dbs[/a.db].replica.sync-interval: sync interval must be greater than 0 (got 0s)',
    ],
    [
      `dbs: [{path: /a.db, replicas: [{path: /r, sync-interval: -1s}]}]`,
      '1:58: dbs[/a.db].replicas[0].sync-interval: sync interval must be greater than 0 (got -1s)',
    ],
    ['snapshot:\n  interval: 0s\n', '2:13: snapshot.interval: snapshot interval must be greater than 0 (got 0s)'],
    [
      'snapshot:\n  retention: -1h\n',
      '2:14: snapshot.retention: snapshot retention must be greater than 0 (got -1h0m0s)',
    ],
    [
      `dbs: [{path: /a.db, snapshot: {interval: 0s}, ${replica}}]`,
      '1:42: dbs[/a.db].snapshot.interval: snapshot interval must be greater than 0 (got 0s)',
    ],
    ['l0-retention: -5m\n', '1:15: l0-retention: l0 retention must not be negative (got -5m0s)'],
    [
      'l0-retention-check-interval: 0s\n',
      '1:30: l0-retention-check-interval: l0 retention check interval must be greater than 0 (got 0s)',
    ],
    ['levels:\n  - interval: -1s\n', '2:15: levels[0].interval: compaction interval must be greater than 0 (got -1s)'],
    ['levels:\n  - {}\n', '2:5: levels[0].interval: must be text'],
    ['heartbeat-url: ftp://x\n', '1:16: heartbeat-url: heartbeat URL must be a valid HTTP or HTTPS URL (got ftp://x)'],
    ['heartbeat-interval: 59s\n', '1:21: heartbeat-interval: heartbeat interval must be at least 1 minute (got 59s)'],
    ['shutdown-sync-timeout: -1s\n', '1:24: shutdown-sync-timeout: shutdown-sync-timeout must be >= 0 (got -1s)'],
    [
      'shutdown-sync-interval: 0s\n',
      '1:25: shutdown-sync-interval: shutdown sync interval must be greater than 0 (got 0s)',
    ],
    ['addr: localhost\n', '1:7: must specify port for bind address: "localhost"'],
    ['socket: {permissions: 01777}\n', '1:23: socket.permissions: must be octal and at most 0777'],
    ['logging: {level: loud}\n', '1:18: unknown log level "loud": use trace, debug, info, warn or error'],
    ['logging: {type: xml}\n', '1:17: unknown log type "xml": use text, json or pretty'],
    [`dbs: [{${replica}}]`, `1:7: database config #1: must specify either 'path' or 'dir'`],
    [`dbs: [{path: /a, dir: /b, ${replica}}]`, `1:23: database config #1: cannot specify both 'path' and 'dir'`],
    [`dbs: [{dir: /b, ${replica}}]`, `1:13: database config #1: 'pattern' is required when using 'dir'`],
    [
      `dbs: [{path: /a, watch: true, ${replica}}]`,
      `1:25: database config #1: 'watch' can only be enabled with a directory`,
    ],
    [
      `dbs: [{path: /a, meta-dir: /m, ${replica}}]`,
      `1:28: database config #1: 'meta-dir' can only be used with a directory`,
    ],
    [
      `dbs: [{dir: /a, pattern: "*", meta-dir: /m, meta-path: /m, ${replica}}]`,
      `1:41: database config #1: cannot specify both 'meta-path' and 'meta-dir'`,
    ],
    [`dbs: [{path: /a}]`, `1:7: database config #1: must specify replica for database /a`],
    [
      'dbs:\n  - path: /a\n    replcia:\n      path: /r\n',
      `2:5: database config #1: must specify replica for database /a. Unknown key dbs[0].replcia: did you mean replica? (${FILE}:3:5).`,
    ],
    [
      `dbs:\n  - pth: /a\n    ${replica}\n`,
      `2:5: database config #1: must specify either 'path' or 'dir'. Unknown key dbs[0].pth: did you mean path? (${FILE}:2:5).`,
    ],
    [
      'dbs:\n  - path: /a\n    replica:\n      tpye: s3\n',
      `4:7: file replica path required. Unknown key dbs[0].replica.tpye: did you mean type? (${FILE}:4:7).`,
    ],
    [
      'dbs:\n  - path: /a\n    replica:\n    url: s3://b/p\n',
      `2:5: database config #1: must specify replica for database /a. Nothing is indented below dbs[0].replica; Unknown key dbs[0].url: it belongs in another place, check the indentation (${FILE}:4:5).`,
    ],
    ['dbs: [{path: /a, replica: {type: file}}]', '1:27: file replica path required'],
    ['dbs: [{path: /a, replicas: [{path: /r}, {}]}]', '1:41: file replica path required'],
    [
      'dbs: [{path: /a, replica: {url: "file://"}}]',
      '1:33: file replica path required: file://. Write it as file:///path/to/replica.',
    ],
    [
      'dbs: [{path: /a, replica: {url: "file:///r%zz"}}]',
      '1:33: parse "file:///r%zz": invalid URL escape "%zz". Write a percent sign as %25, or give the folder as a path.',
    ],
    ['dbs: [{path: /a, replica: {url: "file:///r", path: /s}}]', '1:52: cannot specify url & path for file replica'],
    ['dbs: [{path: /a, replica: {url: "s3://b/p", path: /s}}]', '1:51: cannot specify url & path for s3 replica'],
    ['dbs: [{path: /a, replica: {url: "gs://b/p", bucket: c}}]', '1:53: cannot specify url & bucket for gs replica'],
    ['dbs: [{path: /a, replica: {url: "sftp://u@h/p", host: c}}]', '1:55: cannot specify url & host for sftp replica'],
    [
      'dbs: [{path: /a, replica: {url: "webdavs://h/p", webdav-url: "https://h"}}]',
      '1:62: cannot specify url & webdav-url for webdav replica',
    ],
    [
      `dbs: [{path: /a, ${replica}, replicas: [{path: /s}]}]`,
      `1:49: database config #1: cannot specify 'replica' and 'replicas' on a database`,
    ],
    [
      `dbs: [{path: /a, replica: {path: "s3://user:secret@b/p"}}]`,
      `1:34: replica path cannot be a url, please use the 'url' field instead: s3://b/p`,
    ],
    [
      `dbs: [{path: /a, replica: {path: /r, age: {recipients: [age1x]}}}]`,
      '1:43: age encryption is not currently supported: files would reach the replica unencrypted. Remove the age section and encrypt on the server side, or stay on Litestream 0.3.',
    ],
    [
      `dbs:\n  - {path: /a, snapshot: {interval: 1h}, ${replica}}\n  - {path: /b, snapshot: {interval: 2h}, ${replica}}\n`,
      '3:37: conflicting database snapshot intervals: /a has 1h0m0s, /b has 2h0m0s',
    ],
    [
      `dbs:\n  - {path: /a, snapshot: {retention: 1h}, ${replica}}\n  - {path: /b, snapshot: {retention: 2h}, ${replica}}\n`,
      '3:38: conflicting database snapshot retentions: /a has 1h0m0s, /b has 2h0m0s',
    ],
  ])('%j', (text, message) => {
    expect(errorOf(text)).toBe(message);
  });

  test('files that cannot be read', () => {
    const messageOf = (path: string): string => {
      try {
        loadConfig(path, { expandEnv: true });
      } catch (error) {
        return describeError(error);
      }
      return 'none';
    };
    expect(messageOf('/does/not/exist.yml')).toBe(
      'config file not found: /does/not/exist.yml. Name it with -config PATH or LITESTREAM_CONFIG.',
    );
    expect(messageOf('/tmp')).toBe('cannot read config file /tmp: it is a directory');
  });
});
