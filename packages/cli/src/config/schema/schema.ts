/** The schema of a config file. The JSON Schema for editors and the reference in `docs/` are generated from it. */
import { z } from 'zod';
import {
  EDITOR_TYPE,
  boolean,
  choice,
  count,
  duration,
  lenientDuration,
  size,
  switchable,
  text,
  texts,
} from './scalars.ts';

const age = z.looseObject({
  identities: texts('Keys to decrypt with.'),
  recipients: texts('Keys to encrypt for.'),
});

const lease = z.looseObject({
  ttl: duration('How long the lease is valid after each renewal, 1s at least. Default 30s.'),
  owner: text('How other processes see this one. Default: host and process id.'),
});

/** Keys of a replica that may also be at the top level of a config, as defaults of all replicas. */
export const replicaSettings = {
  'sync-interval': duration('The least time between two uploads of one database while it changes. Default 1s.'),
  'validation-interval': duration('Of Litestream 0.3: use `validation.interval`.'),
  'max-sync-ltx-files': count('How many files one round of uploads may send.')
    .min(0, 'must not be negative')
    .optional(),
  'auto-recover': boolean(
    'Continue with a snapshot if a local file is lost or damaged before its upload; false: stop this replica with an error until `litestream reset`. Default true.',
  ),
  lease: switchable(
    lease,
    'Wait for the lease on the replica, and write to it only while this process holds the lease ([rolling deploys](https://github.com/litestream-ts/litestream-ts/blob/main/docs/guides/deploy.md#rolling-deploys-with-a-lease)). `true`, or a section with `ttl` and `owner`. Needs a backend with conditional writes: s3, gs, abs, file. Default false.',
  ),
  'access-key-id': text('S3, OSS: the key. Environment: `AWS_ACCESS_KEY_ID`, `LITESTREAM_ACCESS_KEY_ID`.'),
  'secret-access-key': text(
    'S3, OSS: its secret. Environment: `AWS_SECRET_ACCESS_KEY`, `LITESTREAM_SECRET_ACCESS_KEY`.',
  ),
  region: text('S3, OSS: where the bucket is.'),
  bucket: text('S3, GCS, Azure (the container), OSS, NATS: the bucket.'),
  endpoint: text('S3, Azure, OSS: the address of the service, where it is not the provider’s own.'),
  'force-path-style': boolean('S3: name the bucket in the path, not in the host. Default true with an endpoint.'),
  'sign-payload': boolean('S3: sign the bytes of uploads too. Default true.'),
  'sign-accept-encoding': boolean('S3: sign the `Accept-Encoding` header too. Default true.'),
  'require-content-md5': boolean('S3: send `Content-MD5` with batch deletes. Default true.'),
  'put-object-content-md5': boolean(
    'S3: send `Content-MD5` with objects that are uploaded in one request, for buckets with Object Lock. Default false.',
  ),
  'skip-verify': boolean('S3, WebDAV: accept any TLS certificate. Default false.'),
  'storage-class': text('S3: storage class of new objects.'),
  'part-size': size('S3, OSS: bytes of one part of an upload. Default 5MiB.'),
  concurrency: count('S3, OSS: parts sent at the same time. Default 5.').min(1, 'must be at least 1').optional(),
  'sse-customer-algorithm': text('S3: algorithm of your own encryption key, `AES256`.'),
  'sse-customer-key': text('S3: your own encryption key, in base64.'),
  'sse-customer-key-path': text('S3: a file with that key.'),
  'sse-kms-key-id': text('S3: encrypt with this key of the key management service.'),
  'account-name': text('Azure: the storage account.'),
  'account-key': text('Azure: its key. Environment: `LITESTREAM_AZURE_ACCOUNT_KEY`.'),
  'sas-token': text('Azure: a shared access signature. Environment: `LITESTREAM_AZURE_SAS_TOKEN`.'),
  host: text('SFTP: `name:port` of the server.'),
  user: text('SFTP: the user.'),
  password: text('SFTP, NATS: the password.'),
  'key-path': text('SFTP: a file with the private key.'),
  'concurrent-writes': boolean('SFTP: send several packets of a file at once. Default true.'),
  'host-key': text('SFTP: the public key that the server must have, as in its `ssh_host_*_key.pub`.'),
  'webdav-url': text('WebDAV: address of the server.'),
  'webdav-username': text('WebDAV: the user.'),
  'webdav-password': text('WebDAV: the password.'),
  jwt: text('NATS: the user’s JWT.'),
  seed: text('NATS: the seed of that user.'),
  creds: text('NATS: a credentials file.'),
  nkey: text('NATS: a file with an nkey seed.'),
  username: text('NATS: the user.'),
  token: text('NATS: an authentication token.'),
  tls: boolean('NATS: use TLS.'),
  'root-cas': texts('NATS: files with certificates of authorities to trust.'),
  'client-cert': text('NATS: a file with the client’s certificate.'),
  'client-key': text('NATS: a file with the key of that certificate.'),
  'max-reconnects': count('NATS: attempts to reconnect; -1 is no limit.').optional(),
  'reconnect-wait': duration('NATS: time between two attempts. Default 2s.'),
  timeout: duration('NATS: how long a request may take. Default 10s.'),
  age: age.optional().describe('Not supported yet, and therefore refused.'),
};

const replica = z
  .looseObject({
    type: text(
      'The backend: file, s3, gs, abs, oss, sftp, webdav, nats, or what a plugin serves. Default: by the URL.',
    ),
    name: text('Of Litestream 0.3: replicas have no names any more.'),
    path: text('Folder, or prefix in the bucket.'),
    url: text('The address of the replica, as one URL: `s3://bucket/path`.'),
    ...replicaSettings,
  })
  .meta({
    description: 'Where a database is replicated to. A third-party backend may have keys of its own.',
    [EDITOR_TYPE]: 'open',
  });

const snapshot = z.looseObject({
  interval: duration('Time between two snapshots. Default 24h.'),
  retention: duration(
    'How long snapshots, and the files for restores to a later time, are kept. The newest snapshot is always kept. ' +
      'Make it longer than the interval ([restoring](https://github.com/litestream-ts/litestream-ts/blob/main/docs/guides/restore.md)). Default 24h.',
  ),
});

const database = z
  .looseObject({
    path: text('The database file.'),
    dir: text('A folder of databases, in place of `path`.'),
    pattern: text('Which files of the folder, such as `*.db`.'),
    recursive: boolean('Look into its subfolders too. Default false.'),
    watch: boolean(
      'Replicate databases that appear later, and stop replicating those that are deleted. Default false.',
    ),
    snapshot: snapshot
      .optional()
      .describe('Applies to all databases, so two of them must not differ; better set at the top level.'),
    'meta-path': text('Folder of the local files. Default: `.NAME-litestream` beside the database.'),
    'staging-path': text(
      'Folder for snapshots before their upload, best on another disk. Default: the folder of the local files. Without ample free space, snapshots are streamed. WebDAV replicas also use it for compactions; their default is the system folder for temporary files.',
    ),
    'meta-dir': text('With `dir`: the folder under which each database has its local files.'),
    'monitor-interval': duration('How often to look for changes that no file event reported. Default 1s.'),
    'checkpoint-interval': duration('The longest time between two checkpoints of a changed database. Default 1m.'),
    'busy-timeout': duration('How long to wait for locks of the application. Default 1s.'),
    'min-checkpoint-page-count': count('Checkpoint once the WAL holds this many pages. Default 1000.').optional(),
    'truncate-page-n': count('Truncate the WAL once it holds this many pages. Default 121359.').optional(),
    'max-sync-wal-bytes': count('The most bytes of the WAL that one file holds; 0 is no limit.').optional(),
    'restore-if-db-not-exists': boolean('Restore the database before replicating, if it is missing. Default false.'),
    replica: replica.optional(),
    replicas: z.array(replica).optional().describe('Several replicas.'),
  })
  .describe('A database, or a folder of them.');

export const configSchema = z.looseObject({
  dbs: z.array(database).optional().describe('The databases to replicate.'),
  addr: text('Serve metrics and the status page here: `:9090`, `127.0.0.1:9090`.'),
  'addr-token': text(
    'A token that requests to `addr` must carry, except `/healthz` and `/readyz`: as `Authorization: Bearer`, or as the password of a login in the browser. At least 16 characters.',
  ),
  'addr-hosts': texts(
    'Further names that `addr` is reached by. Addresses, `localhost` and the name of this machine need no entry.',
  ),
  socket: z
    .looseObject({
      enabled: boolean('Default false.'),
      path: text('Default `/var/run/litestream.sock`.'),
      permissions: count('Who may use it, in octal. Default 0600.')
        .min(0, 'must not be negative')
        .max(0o777, 'must be octal and at most 0777')
        .meta({ [EDITOR_TYPE]: 'octal' })
        .optional(),
      endpoints: texts(
        'Endpoints that get credentials of the environment even if only a URL given to `register` names them: `https://name:port`, or `http://…`. Those of the config’s replicas need no entry.',
      ),
      'heap-snapshots': boolean(
        'Let `/debug/pprof/heap` hand out snapshots of the memory, with every secret in it. Default false.',
      ),
    })
    .optional()
    .describe('The control socket, for `start`, `stop`, `sync`, `register` and the like.'),
  levels: z
    .array(z.looseObject({ interval: duration('Time between two compactions into this level.').unwrap() }))
    .optional()
    .describe('Compaction levels 1, 2, … Default 30s, 5m, 1h.'),
  snapshot: snapshot.optional(),
  validation: z
    .looseObject({ interval: duration('Time between two checks of the replicas. Default: none.') })
    .optional(),
  drill: z
    .looseObject({
      interval: duration(
        'Time between two restore drills: the newest state of each replica is restored to a temporary file, proven, and removed. Default: none.',
      ),
    })
    .optional(),
  'l0-retention': duration('How long files of level 0 are kept once they are in level 1. Default 5m.'),
  'l0-retention-check-interval': duration('How often to look for expired files of level 0. Default 15s.'),
  'verify-compaction': boolean('List a level again after each compaction and check it. Default false.'),
  retention: z
    .looseObject({ enabled: boolean('False: files on the replica are never deleted. Default true.') })
    .optional(),
  'heartbeat-url': text('A URL to call while replication works.'),
  'heartbeat-interval': duration('Time between two of these calls, 1m at least. Default 5m.'),
  exec: text('A program to run; replication ends with it.'),
  'exec-credentials': boolean(
    'Leave the credentials of storage backends in the environment of the program of `exec`. Default false.',
  ),
  logging: z
    .looseObject({
      level: choice(['trace', 'debug', 'info', 'warn', 'error'], 'Default info. Environment: `LOG_LEVEL`.'),
      type: choice(['text', 'json', 'pretty'], 'Default text.'),
      stderr: boolean('Write to standard error in place of standard output. Default false.'),
      source: boolean('Log the place in the code. Default false.'),
    })
    .optional(),
  'mcp-addr': text(
    'Where the Model Context Protocol is served: `unix:///path` for a socket that only this user can open, or `host:port`, which needs `mcp-token`; without a host, only this machine is served. Needs the package `@modelcontextprotocol/server`.',
  ),
  'mcp-token': text(
    'The token that clients of `mcp-addr` must send, as `Authorization: Bearer`. At least 16 characters.',
  ),
  'mcp-output-dir': text('The folder that `litestream_restore` writes into. Without it the tool is refused.'),
  'shutdown-timeout': lenientDuration(
    'Time limit of the shutdown, counted from the first signal. At the limit, the program of `exec` is killed and the exit status is 1. Default 30s; a value that is not a positive duration is logged and the default is used.',
  ),
  'shutdown-sync-timeout': duration(
    'How long the last sync may take when the program ends, at most `shutdown-timeout`. Default 30s.',
  ),
  'shutdown-sync-interval': duration('Time between two attempts of the last sync. Default 500ms.'),
  plugins: texts('Third-party backends: names of packages, or paths.'),
  ...replicaSettings,
});

export type RawConfig = z.output<typeof configSchema>;
export type RawDatabase = z.output<typeof database>;
export type RawReplica = z.output<typeof replica>;
export { lease as leaseSchema, database as databaseSchema, replica as replicaSchema, snapshot as snapshotSchema };
