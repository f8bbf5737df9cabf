import { COMMANDS } from './commands/table.ts';
import { runProgram } from './commands/shared/program.ts';
import { registerEnvironmentSecrets, registerUrlSecrets } from './util/secrets.ts';
import { processTerminal } from './terminal/terminal.ts';
import type { Terminal } from './terminal/terminal.ts';

/** Runs `litestream ARGV…` in this process and sets its exit code. */
export async function run(argv: readonly string[], terminal: Terminal = processTerminal): Promise<void> {
  prepareEnvironment();
  // Messages quote arguments, also unknown ones, so their secrets are registered first.
  for (const argument of argv) registerUrlSecrets(argument);
  const about = 'litestream replicates SQLite databases to storage and restores them.';
  await runProgram({ name: 'litestream', about, commands: COMMANDS }, argv, terminal);
}

/**
 * Registers the secrets of the environment for redaction, and uses `LITESTREAM_ACCESS_KEY_ID` and
 * `LITESTREAM_SECRET_ACCESS_KEY` for the AWS variables if those are not set.
 */
export function prepareEnvironment(env: NodeJS.ProcessEnv = process.env): void {
  registerEnvironmentSecrets(env);
  for (const name of ['ACCESS_KEY_ID', 'SECRET_ACCESS_KEY']) {
    const value = env[`LITESTREAM_${name}`];
    if (value !== undefined) env[`AWS_${name}`] ??= value;
  }
}
