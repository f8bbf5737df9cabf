/** Every config key of 0.5.18, the shapes its documentation shows, and configs it refuses: what `databases` makes of them. */
import type { DropInCase } from './case.ts';

const REPLICA = 'replica: {path: $ROOT/r}';

/** Lines at the top level, with a database below them. */
const TOP: readonly string[] = [
  'addr: ":9090"',
  'socket: {enabled: true, path: $ROOT/l.sock, permissions: 0600}',
  'levels: [{interval: 30s}, {interval: 5m}, {interval: 1h}]',
  'snapshot: {interval: 1h, retention: 48h}',
  'validation: {interval: "5m"}',
  'l0-retention: 10m',
  'l0-retention-check-interval: 15s',
  'verify-compaction: true',
  'retention: {enabled: false}',
  'heartbeat-url: https://example.com/ping',
  'heartbeat-interval: 5m',
  'exec: node app.js',
  'logging: {level: debug, type: json, stderr: true}',
  'logging: {level: trace}',
  'mcp-addr: ":3001"',
  'shutdown-timeout: 10s',
  'shutdown-timeout: 10',
  'shutdown-timeout: -1s',
  'shutdown-timeout: [10s]',
  'snapshot: {interval: 1h, retention: 30m}',
  'snapshot: {interval: 48h}',
  'shutdown-sync-timeout: 10s',
  'shutdown-sync-interval: 1s',
  'access-key-id: AKIAEXAMPLE',
  'secret-access-key: example',
  'region: eu-central-1',
  'sync-interval: 5s',
];

/** Keys of a database, beside its path and replica. */
const DATABASE: readonly string[] = [
  'meta-path: $ROOT/meta',
  'monitor-interval: 2s',
  'checkpoint-interval: 2m',
  'busy-timeout: 5s',
  'min-checkpoint-page-count: 500',
  'max-checkpoint-page-count: 5000',
  'truncate-page-n: 500000',
  'max-sync-wal-bytes: 64MB',
  'restore-if-db-not-exists: true',
  'snapshot: {interval: 2h, retention: 72h}',
  'snapshot: {interval: 2h, retention: 1h}',
];

/** Replicas as documented for each kind of storage; keys indented below `replica:`. */
const REPLICAS: readonly string[] = [
  'path: /backup/db',
  'type: file\npath: /backup/db',
  'url: file:///backup/db',
  'url: s3://bucket/path\nregion: us-east-1',
  'url: s3://bucket/path?endpoint=https://account.r2.cloudflarestorage.com\naccess-key-id: a\nsecret-access-key: b',
  'url: s3://bucket/path?endpoint=https://s3.us-west-001.backblazeb2.com&sign-payload=true&force-path-style=true',
  'url: s3://bucket/path?endpoint=https://minio.example:9000&force-path-style=true',
  'url: s3://bucket/path?endpoint=https://fly.storage.tigris.dev&region=auto',
  'type: s3\nbucket: bucket\npath: name\nendpoint: https://storage.googleapis.com\nregion: us-east-1\nforce-path-style: true',
  'type: s3\nbucket: bucket\npath: name\nregion: us-east-1\npart-size: 10MB\nconcurrency: 10\nskip-verify: true',
  'type: s3\nbucket: bucket\npath: name\nregion: us-east-1\nsign-payload: true\nrequire-content-md5: true',
  'type: s3\nbucket: bucket\npath: name\nregion: us-east-1\nsync-interval: 10s',
  'type: s3\nbucket: bucket\npath: name\nregion: us-east-1\nput-object-content-md5: true',
  'url: s3://bucket.br-demo-1.storage.c-6.us-east-2.aws.neon.tech/path\naccess-key-id: a\nsecret-access-key: b',
  'url: gs://bucket/path',
  'type: gs\nbucket: bucket\npath: path',
  'url: abs://account@container/path\naccount-key: a2V5',
  'url: abs://account@container/path?endpoint=http://127.0.0.1:10000/account\naccount-key: a2V5',
  'type: abs\naccount-name: account\naccount-key: a2V5\nbucket: container\npath: path',
  'url: oss://bucket/path?endpoint=oss-cn-hangzhou.aliyuncs.com\naccess-key-id: a\nsecret-access-key: b',
  'url: sftp://user:password@host:22/path',
  'type: sftp\nhost: host:22\nuser: user\npassword: password\npath: /path',
  'url: webdav://user:password@host/path',
  'type: webdav\nwebdav-url: https://host/dav\nwebdav-username: user\nwebdav-password: password\npath: /path',
  'url: nats://user:password@host:4222/bucket',
  'type: nats\nurl: nats://host:4222/bucket\ncreds: /etc/nats.creds',
];

/** What is refused. */
const BAD: readonly string[] = [
  'dbs: [',
  '\tdbs: []',
  'dbs: 5',
  'dbs: [{path: [1]}]',
  'verify-compaction: maybe',
  'dbs: [{path: /a, truncate-page-n: many, replica: {path: /r}}]',
  'dbs: [{path: /a, replica: {path: /r, sync-interval: 1x}}]',
  'dbs: [{path: /a, replica: {path: /r, part-size: 5XB}}]',
  'dbs: [{path: /a, replica: {path: /r, sync-interval: 0s}}]',
  'dbs: [{path: /a, replica: {path: /r, sync-interval: -1s}}]',
  'snapshot: {interval: 0s}',
  'snapshot: {retention: -1h}',
  'l0-retention: -5m',
  'l0-retention-check-interval: 0s',
  'levels: [{interval: -1s}]',
  'levels: [{}]',
  'validation: {interval: -1s}',
  'heartbeat-url: ftp://x',
  'heartbeat-interval: 59s',
  'shutdown-sync-timeout: -1s',
  'shutdown-sync-interval: 0s',
  'addr: localhost',
  'socket: {permissions: rw}',
  'dbs: [{replica: {path: /r}}]',
  'dbs: [{path: /a, dir: /b, replica: {path: /r}}]',
  'dbs: [{dir: /b, replica: {path: /r}}]',
  'dbs: [{path: /a, watch: true, replica: {path: /r}}]',
  'dbs: [{path: /a, meta-dir: /m, replica: {path: /r}}]',
  'dbs: [{dir: /a, pattern: "*", meta-dir: /m, meta-path: /m, replica: {path: /r}}]',
  'dbs: [{path: /a}]',
  'dbs: [{path: /a, replica: {path: /r}, replicas: [{path: /s}]}]',
  'dbs: [{path: /a, replica: {path: "s3://b/p"}}]',
  'dbs: [{path: /a, replica: {path: /r, age: {recipients: [age1x]}}}]',
  'dbs: [{path: /a, replica: {type: s3, path: /r}}]',
  'dbs: [{path: /a, replica: {type: floppy, path: /r}}]',
  'dbs: [{path: /a, replica: {type: s3, bucket: b, region: r, part-size: 5MB}}]',
  'dbs: [{path: /a, replica: {type: file}}]',
  'dbs: [{path: /a, replica: {url: "file:///r%zz"}}]',
  'dbs: [{path: /a, replica: {url: "file:///r", path: /s}}]',
  'dbs: [{path: /a, replica: {url: "s3://b/p", path: /s}}]',
  'dbs: [{path: /a, replica: {url: "s3://b/p", bucket: c}}]',
  'dbs: [{path: /a, replica: {url: "gs://b/p", path: /s}}]',
  'dbs: [{path: /a, replica: {url: "gs://b/p", bucket: c}}]',
  'dbs: [{path: /a, replica: {url: "abs://a@b/p", path: /s}}]',
  'dbs: [{path: /a, replica: {url: "abs://a@b/p", bucket: c}}]',
  'dbs: [{path: /a, replica: {url: "oss://b/p", path: /s}}]',
  'dbs: [{path: /a, replica: {url: "oss://b/p", bucket: c}}]',
  'dbs: [{path: /a, replica: {url: "sftp://u@h/p", path: /s}}]',
  'dbs: [{path: /a, replica: {url: "sftp://u@h/p", host: c}}]',
  'dbs: [{path: /a, replica: {url: "webdav://h/p", path: /s}}]',
  'dbs: [{path: /a, replica: {url: "webdav://h/p", webdav-url: "https://h"}}]',
  'dbs: [{path: /a, replica: {url: "floppy://x/y"}}]',
  'dbs:\n  - {path: /a, snapshot: {interval: 1h}, replica: {path: /r}}\n  - {path: /b, snapshot: {interval: 2h}, replica: {path: /s}}',
  'dbs:\n  - {path: /a, snapshot: {retention: 1h}, replica: {path: /r}}\n  - {path: /b, snapshot: {retention: 2h}, replica: {path: /s}}',
];

const OTHERS: Readonly<Record<string, string>> = {
  'dir, pattern': `dbs: [{dir: $ROOT, pattern: "n*.db", ${REPLICA}}]`,
  'dir, pattern, recursive, watch': `dbs: [{dir: $ROOT, pattern: "*.db", recursive: true, watch: true, ${REPLICA}}]`,
  'the older list of one replica': 'dbs: [{path: $ROOT/app.db, replicas: [{path: $ROOT/r}]}]',
  'the older list of two replicas': 'dbs: [{path: $ROOT/app.db, replicas: [{path: $ROOT/r}, {path: $ROOT/s}]}]',
  'sqlite:// path': 'dbs: [{path: "sqlite://$ROOT/app.db", replica: {path: $ROOT/r}}]',
  'home folder': 'dbs: [{path: ~/app.db, replica: {path: ~/r}}]',
  'relative path': 'dbs: [{path: app.db, replica: {path: r}}]',
  variables: 'dbs: [{path: "${DIR}/$NAME.db", replica: {path: "$ROOT/$UNSET/r"}}]',
  'keys of old configs': `dbs: [{path: $ROOT/app.db, replicas: [{name: x, path: $ROOT/r, retention: 24h, validation-interval: 6h}]}]`,
  'an unknown key': `dbs: [{path: $ROOT/app.db, chekpoint-interval: 1m, ${REPLICA}}]`,
  'upper case file name': `dbs: [{path: "$ROOT/Über App.db", ${REPLICA}}]`,
};

const indented = (text: string, by: string): string => text.replaceAll(/^/gm, by);

function* cases(): Generator<readonly [string, string]> {
  for (const line of TOP) yield [line, `${line}\ndbs: [{path: $ROOT/app.db, ${REPLICA}}]\n`];
  for (const line of DATABASE) yield [line, `dbs:\n  - path: $ROOT/app.db\n    ${line}\n    ${REPLICA}\n`];
  for (const keys of REPLICAS) {
    yield [keys.replaceAll('\n', ', '), `dbs:\n  - path: $ROOT/app.db\n    replica:\n${indented(keys, '      ')}\n`];
  }
  for (const [name, text] of Object.entries(OTHERS)) yield [name, text];
  for (const text of BAD) yield [text.replaceAll('\n', '\\n').replaceAll('\t', '\\t'), text];
}

export const configCases: readonly DropInCase[] = [...cases()].map(([name, text]) => ({
  name: `config ${name}`,
  args: ['databases', '-json', '-config', 'c.yml'],
  env: { DIR: '/data', NAME: 'app', HOME: '/home/somebody' },
  files: { 'c.yml': text },
}));
