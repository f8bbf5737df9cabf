/** From a command line to an exit code. */
import { UsageError } from './errors.ts';
import { findCommand, overview, COMMANDS } from './commands/table.ts';
import { formatHelp } from './flags/help.ts';
import { parseFlags } from './flags/parse.ts';
import { registerEnvironmentSecrets } from './secrets.ts';
import { processTerminal } from './terminal/terminal.ts';
import type { Terminal } from './terminal/terminal.ts';
import { nearest } from './text/nearest.ts';

/** Runs `litestream ARGV…` in this process and sets its exit code. */
export async function run(argv: readonly string[], terminal: Terminal = processTerminal): Promise<void> {
  registerEnvironmentSecrets(process.env);
  applyLitestreamEnvironment(process.env);
  // Core's timers and watchers let a process end; a command ends when it has an exit code.
  const alive = setInterval(() => undefined, 2 ** 30);
  try {
    process.exitCode = await dispatch(argv, terminal);
  } catch (error) {
    process.exitCode = await report(error, terminal);
  } finally {
    clearInterval(alive);
  }
}

async function dispatch(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [name = '', ...rest] = argv;
  if (['help', '-h', '-help', '--help'].includes(name)) {
    const topic = name === 'help' ? rest[0] : undefined;
    if (topic === undefined) {
      terminal.out(overview());
      return 0;
    }
    return dispatch([topic, '-h'], terminal);
  }
  if (name === '') {
    terminal.out(overview());
    return 1;
  }
  const entry = findCommand(name);
  if (entry === undefined) {
    const meant = nearest(
      name,
      COMMANDS.map((command) => command.name),
    );
    const what = name.startsWith('-')
      ? `flag ${name} must come after a command`
      : `litestream ${name}: unknown command`;
    throw new UsageError(what, meant === undefined ? 'litestream help' : `litestream ${meant}`);
  }
  if (entry.deprecatedFor !== undefined) {
    terminal.err(`Warning: '${name}' command is deprecated, please use '${entry.deprecatedFor}' instead`);
  }
  const { command } = await entry.load();
  const parsed = parseFlags(command.name, command.flags, rest);
  if (parsed.help) {
    terminal.out(formatHelp(command.help, command.flags));
    return 0;
  }
  return command.run(parsed, { terminal });
}

async function report(error: unknown, terminal: Terminal): Promise<number> {
  const { describeError } = await import('./describe-error.ts');
  terminal.err(`Error: ${describeError(error)}`);
  if (error instanceof UsageError && error.attempt !== undefined) terminal.err(`Try: ${error.attempt}`);
  const level = (process.env['LOG_LEVEL'] ?? '').toLowerCase();
  if (['trace', 'debug'].includes(level) && error instanceof Error && error.stack !== undefined) {
    terminal.err(error.stack);
  }
  return 1;
}

/** `LITESTREAM_ACCESS_KEY_ID` and `LITESTREAM_SECRET_ACCESS_KEY` stand in for the AWS variables where those are unset. */
function applyLitestreamEnvironment(env: NodeJS.ProcessEnv): void {
  for (const name of ['ACCESS_KEY_ID', 'SECRET_ACCESS_KEY']) {
    const value = env[`LITESTREAM_${name}`];
    if (value !== undefined) env[`AWS_${name}`] ??= value;
  }
}
