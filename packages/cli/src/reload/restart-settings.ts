/** The settings of a reloaded config that take effect only in a new process. */
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/types.ts';

/** Key in the file → its value in `Config`. Databases and `heartbeat-*` are left out: a reload applies them. */
const SETTINGS: readonly (readonly [string, (config: Config) => unknown])[] = [
  ['addr', ({ addr }) => addr],
  ['addr-token', ({ addrToken }) => addrToken],
  ['addr-hosts', ({ addrHosts }) => addrHosts],
  ['mcp-addr', ({ mcpAddr }) => mcpAddr],
  ['mcp-token', ({ mcpToken }) => mcpToken],
  ['mcp-output-dir', ({ mcpOutputDir }) => mcpOutputDir],
  ['socket', ({ socket }) => socket],
  ['exec', ({ exec }) => exec],
  ['exec-credentials', ({ execCredentials }) => execCredentials],
  ['plugins', ({ plugins }) => plugins],
  ['logging', ({ logging }) => logging],
  ['levels', ({ levels }) => levels],
  ['snapshot', ({ snapshot }) => snapshot],
  ['drill.interval', ({ drillIntervalMs }) => drillIntervalMs],
  ['validation.interval', ({ validationIntervalMs }) => validationIntervalMs],
  ['l0-retention', ({ l0RetentionMs }) => l0RetentionMs],
  ['l0-retention-check-interval', ({ l0RetentionCheckIntervalMs }) => l0RetentionCheckIntervalMs],
  ['verify-compaction', ({ verifyCompaction }) => verifyCompaction],
  ['retention.enabled', ({ retentionEnabled }) => retentionEnabled],
  ['shutdown-timeout', ({ shutdownTimeoutMs }) => shutdownTimeoutMs],
  ['shutdown-sync-timeout', ({ shutdownSyncTimeoutMs }) => shutdownSyncTimeoutMs],
  ['shutdown-sync-interval', ({ shutdownSyncIntervalMs }) => shutdownSyncIntervalMs],
];

/** Keys whose new values wait for a restart. */
export function restartSettings(running: Config, next: Config): string[] {
  return SETTINGS.filter(([, of]) => !isDeepStrictEqual(of(running), of(next))).map(([key]) => key);
}
