/** Runs the command lines of a program that is a table of commands. */
import { nearest } from '@litestream/core/nearest';
import { UsageError } from '../../util/usage-error.ts';
import type { CommandEntry } from './command.ts';
import { formatHelp } from '../../flags/help.ts';
import { parseFlags } from '../../flags/parse.ts';
import { failOnStrayErrors } from '../../terminal/stray-errors.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import { ReaderGone } from '../../terminal/write-all.ts';

export interface Program {
  /** Name of the executable: `litestream`. */
  readonly name: string;
  /** One sentence about its purpose. */
  readonly about: string;
  readonly commands: readonly CommandEntry[];
}

/** Runs `NAME ARGV…` in this process and sets its exit code. */
export async function runProgram(program: Program, argv: readonly string[], terminal: Terminal): Promise<void> {
  // Timers and watchers of core do not keep the process alive. This timer does, until the command has an exit code.
  const alive = setInterval(() => undefined, 2 ** 30);
  const strays = failOnStrayErrors(terminal);
  try {
    process.exitCode = await dispatch(program, argv, terminal);
  } catch (error) {
    process.exitCode = await report(error, terminal);
  } finally {
    clearInterval(alive);
    strays[Symbol.dispose]();
  }
}

async function dispatch(program: Program, argv: readonly string[], terminal: Terminal): Promise<number> {
  const [first = '', ...rest] = argv;
  const name = /^--?version$/.test(first) ? 'version' : first;
  if (['help', '-h', '-help', '--help'].includes(name)) {
    const topic = name === 'help' ? rest[0] : undefined;
    if (topic === undefined) {
      terminal.out(overview(program));
      return 0;
    }
    return dispatch(program, [topic, '-h'], terminal);
  }
  if (name === '') {
    terminal.out(overview(program));
    return 1;
  }
  const entry = program.commands.find((command) => command.name === name);
  if (entry === undefined) throw unknownCommand(program, name);
  if (entry.deprecatedFor !== undefined) {
    terminal.err(`Warning: '${name}' command is deprecated, please use '${entry.deprecatedFor}' instead`);
  }
  const { command } = await entry.load();
  const parsed = parseFlags(`${program.name} ${command.name}`, command.flags, rest);
  if (parsed.help) {
    terminal.out(formatHelp(program.name, command.help, command.flags, terminal.columns));
    return 0;
  }
  return command.run(parsed, { terminal, commands: program.commands });
}

function unknownCommand(program: Program, name: string): UsageError {
  const meant = nearest(
    name,
    program.commands.map((command) => command.name),
  );
  const what = name.startsWith('-')
    ? `flag ${name} must come after a command`
    : `${program.name} ${name}: unknown command`;
  return new UsageError(what, `${program.name} ${meant ?? 'help'}`);
}

async function report(error: unknown, terminal: Terminal): Promise<number> {
  if (error instanceof ReaderGone) return error.exitCode;
  const { describeError } = await import('../../util/describe-error.ts');
  terminal.err(`Error: ${describeError(error)}`);
  if (error instanceof UsageError && error.details !== undefined) terminal.err(error.details);
  if (error instanceof UsageError && error.attempt !== undefined) terminal.err(`Try: ${error.attempt}`);
  const level = (process.env['LOG_LEVEL'] ?? '').toLowerCase();
  if (['trace', 'debug'].includes(level) && error instanceof Error && error.stack !== undefined) {
    terminal.err(error.stack);
  }
  return 1;
}

/** The overview that `help` prints. */
function overview({ name, about, commands }: Program): string {
  const shown = commands.filter((command) => command.deprecatedFor === undefined);
  const width = Math.max(...shown.map((command) => command.name.length)) + 3;
  const lines = shown.map((command) => `\t${command.name.padEnd(width)}${command.summary}\n`);
  return [
    `${about}\n\n`,
    `Usage:\n\n\t${name} <command> [arguments]\n\n`,
    'The commands are:\n\n',
    ...lines,
    `\n${name} <command> -h explains one of them.\n\n`,
  ].join('');
}
