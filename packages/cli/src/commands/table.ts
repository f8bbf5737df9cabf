/** Every command, with what the overview says about it. A command's code loads when it is run. */
import type { Command } from './command.ts';

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<{ readonly command: Command }>;
  /** Not in the overview: an old name. */
  readonly deprecatedFor?: string;
}

const entry = (name: string, summary: string, load: CommandEntry['load']): CommandEntry => ({ name, summary, load });

export const COMMANDS: readonly CommandEntry[] = [
  entry('databases', 'list databases specified in config file', () => import('./databases.ts')),
  entry('ltx', 'list available LTX files for a database', () => import('./ltx.ts')),
  entry('plugins', 'list the storage clients that can be found', () => import('./plugins.ts')),
  entry('replicate', 'runs a server to replicate databases', () => import('./replicate.ts')),
  entry('reset', 'reset local state for a database', () => import('./reset.ts')),
  entry('restore', 'recovers database backup from a replica', () => import('./restore.ts')),
  entry('status', 'display replication status for databases', () => import('./status.ts')),
  entry('version', 'prints the version', () => import('./version.ts')),
  { ...entry('wal', 'old name of ltx', () => import('./ltx.ts')), deprecatedFor: 'ltx' },
];

export function findCommand(name: string): CommandEntry | undefined {
  return COMMANDS.find((command) => command.name === name);
}

/** The overview that `litestream help` prints. */
export function overview(): string {
  const shown = COMMANDS.filter((command) => command.deprecatedFor === undefined);
  const width = Math.max(...shown.map((command) => command.name.length)) + 3;
  const lines = shown.map((command) => `\t${command.name.padEnd(width)}${command.summary}\n`);
  return [
    'litestream replicates SQLite databases to storage and restores them.\n\n',
    'Usage:\n\n\tlitestream <command> [arguments]\n\n',
    'The commands are:\n\n',
    ...lines,
    '\nlitestream <command> -h explains one of them.\n\n',
  ].join('');
}
