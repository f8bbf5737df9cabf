import { prepareEnvironment, processTerminal, runProgram } from '@litestream/cli/kit';
import type { CommandEntry, Terminal } from '@litestream/cli/kit';

const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'populate',
    summary: 'fills a database to a size',
    load: () => import('./commands/populate.ts'),
  },
  {
    name: 'load',
    summary: 'writes to and reads from a database for a while',
    load: () => import('./commands/load.ts'),
  },
  {
    name: 'shrink',
    summary: 'deletes a part of a database',
    load: () => import('./commands/shrink.ts'),
  },
  {
    name: 'validate',
    summary: 'restores a replica and compares it with its database',
    load: () => import('./commands/validate.ts'),
  },
  {
    name: 'version',
    summary: 'prints the version',
    load: () => import('./commands/version.ts'),
  },
];

/** Runs `litestream-test ARGV…` in this process and sets its exit code. */
export async function run(argv: readonly string[], terminal: Terminal = processTerminal): Promise<void> {
  prepareEnvironment();
  const about = 'litestream-test creates load on SQLite databases and validates their replicas.';
  await runProgram({ name: 'litestream-test', about, commands: COMMANDS }, argv, terminal);
}
