/** What a config file may hold. The JSON Schema for editors is made from this. */
import { z } from 'zod';
import { parseDuration } from '../units/duration.ts';
import { parseSize } from '../units/size.ts';

const duration = z.string().transform((text, context) => {
  const durationMs = parseDuration(text) ?? nanoseconds(text);
  if (durationMs === undefined) {
    context.addIssue({
      code: 'custom',
      message: `cannot read "${text}" as a duration, write it like 500ms, 30s or 1h30m`,
    });
    return z.NEVER;
  }
  return durationMs;
});

const size = z.string().transform((text, context) => {
  const bytes = parseSize(text);
  if (bytes === undefined) {
    context.addIssue({ code: 'custom', message: `cannot read "${text}" as a size, write it like 512KB, 5MB or 64MiB` });
    return z.NEVER;
  }
  return bytes;
});

/** Go takes a number without a unit for nanoseconds, and old configs may carry one. */
function nanoseconds(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) / 1e6 : undefined;
}

const text = z.string();
const texts = z.array(z.string());
const yes = z.boolean();
const count = z.int();

/** Keys of a replica that are legal at the top level of a config too, as defaults of all replicas. */
export const replicaSettings = {
  'sync-interval': duration.optional(),
  'validation-interval': duration.optional(),
  'max-sync-ltx-files': count.min(0, 'must not be negative').optional(),
  'auto-recover': yes.optional(),
  'access-key-id': text.optional(),
  'secret-access-key': text.optional(),
  region: text.optional(),
  bucket: text.optional(),
  endpoint: text.optional(),
  'force-path-style': yes.optional(),
  'sign-payload': yes.optional(),
  'sign-accept-encoding': yes.optional(),
  'require-content-md5': yes.optional(),
  'skip-verify': yes.optional(),
  'storage-class': text.optional(),
  'part-size': size.optional(),
  concurrency: count.min(1, 'must be at least 1').optional(),
  'sse-customer-algorithm': text.optional(),
  'sse-customer-key': text.optional(),
  'sse-customer-key-path': text.optional(),
  'sse-kms-key-id': text.optional(),
  'account-name': text.optional(),
  'account-key': text.optional(),
  'sas-token': text.optional(),
  host: text.optional(),
  user: text.optional(),
  password: text.optional(),
  'key-path': text.optional(),
  'concurrent-writes': yes.optional(),
  'host-key': text.optional(),
  'webdav-url': text.optional(),
  'webdav-username': text.optional(),
  'webdav-password': text.optional(),
  jwt: text.optional(),
  seed: text.optional(),
  creds: text.optional(),
  nkey: text.optional(),
  username: text.optional(),
  token: text.optional(),
  tls: yes.optional(),
  'root-cas': texts.optional(),
  'client-cert': text.optional(),
  'client-key': text.optional(),
  'max-reconnects': count.optional(),
  'reconnect-wait': duration.optional(),
  timeout: duration.optional(),
  age: z.looseObject({ identities: texts.optional(), recipients: texts.optional() }).optional(),
};

const replica = z.looseObject({
  type: text.optional(),
  name: text.optional(),
  path: text.optional(),
  url: text.optional(),
  ...replicaSettings,
});

const snapshot = z.looseObject({ interval: duration.optional(), retention: duration.optional() });

const database = z.looseObject({
  path: text.optional(),
  dir: text.optional(),
  pattern: text.optional(),
  recursive: yes.optional(),
  watch: yes.optional(),
  snapshot: snapshot.optional(),
  'meta-path': text.optional(),
  'meta-dir': text.optional(),
  'monitor-interval': duration.optional(),
  'checkpoint-interval': duration.optional(),
  'busy-timeout': duration.optional(),
  'min-checkpoint-page-count': count.optional(),
  'truncate-page-n': count.optional(),
  'max-sync-wal-bytes': count.optional(),
  'restore-if-db-not-exists': yes.optional(),
  replica: replica.optional(),
  replicas: z.array(replica).optional(),
});

export const configSchema = z.looseObject({
  ...replicaSettings,
  addr: text.optional(),
  socket: z
    .looseObject({
      enabled: yes.optional(),
      path: text.optional(),
      permissions: count.min(0, 'must not be negative').max(0o777, 'must be octal and at most 0777').optional(),
    })
    .optional(),
  levels: z.array(z.looseObject({ interval: duration })).optional(),
  snapshot: snapshot.optional(),
  validation: z.looseObject({ interval: duration.optional() }).optional(),
  'l0-retention': duration.optional(),
  'l0-retention-check-interval': duration.optional(),
  'verify-compaction': yes.optional(),
  retention: z.looseObject({ enabled: yes.optional() }).optional(),
  'heartbeat-url': text.optional(),
  'heartbeat-interval': duration.optional(),
  dbs: z.array(database).optional(),
  exec: text.optional(),
  logging: z
    .looseObject({ level: text.optional(), type: text.optional(), stderr: yes.optional(), source: yes.optional() })
    .optional(),
  'mcp-addr': text.optional(),
  'shutdown-sync-timeout': duration.optional(),
  'shutdown-sync-interval': duration.optional(),
  plugins: texts.optional(),
});

export type RawConfig = z.output<typeof configSchema>;
export type RawDatabase = z.output<typeof database>;
export type RawReplica = z.output<typeof replica>;
export { database as databaseSchema, replica as replicaSchema, snapshot as snapshotSchema };
