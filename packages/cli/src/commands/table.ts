/** Every command, with its line in the overview. The code of a command loads when it runs. */
import type { CommandEntry } from './shared/command.ts';

const entry = (name: string, summary: string, load: CommandEntry['load']): CommandEntry => ({ name, summary, load });

export const COMMANDS: readonly CommandEntry[] = [
  entry('completion', 'print a script with completions for a shell', () => import('./completion.ts')),
  entry('copy', 'copy a replica to another place or backend', () => import('./replica/copy.ts')),
  entry('databases', 'list databases specified in config file', () => import('./databases.ts')),
  entry('info', 'show daemon information', () => import('./socket/info.ts')),
  entry('lease', 'show the lease on a replica, or break it', () => import('./replica/lease.ts')),
  entry('list', 'list all managed databases', () => import('./socket/list.ts')),
  entry('ltx', 'list available LTX files for a database', () => import('./replica/ltx.ts')),
  entry('mcp', 'serve the Model Context Protocol on standard input and output', () => import('./mcp.ts')),
  entry('plugins', 'list the storage clients that can be found', () => import('./plugins.ts')),
  entry('points', 'list the points in time to restore', () => import('./replica/points.ts')),
  entry('register', 'register a database for replication', () => import('./socket/register.ts')),
  entry('replicate', 'runs a server to replicate databases', () => import('./replicate.ts')),
  entry('reset', 'reset local state for a database', () => import('./reset.ts')),
  entry('restore', 'recovers database backup from a replica', () => import('./replica/restore.ts')),
  entry('start', 'start replication for a database', () => import('./socket/start.ts')),
  entry('status', 'display replication status for databases', () => import('./socket/status.ts')),
  entry('stop', 'stop replication for a database', () => import('./socket/stop.ts')),
  entry('sync', 'force an immediate sync for a database', () => import('./socket/sync.ts')),
  entry('unregister', 'unregister a database from replication', () => import('./socket/unregister.ts')),
  entry('verify', 'prove a replica: its files, their chain and its newest state', () => import('./replica/verify.ts')),
  entry('version', 'prints the version', () => import('./version.ts')),
  { ...entry('wal', 'old name of ltx', () => import('./replica/ltx.ts')), deprecatedFor: 'ltx' },
];
