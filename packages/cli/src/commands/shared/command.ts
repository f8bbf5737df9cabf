import type { HelpText } from '../../flags/help.ts';
import type { FlagSpecs, ParsedFlags } from '../../flags/parse.ts';
import type { Terminal } from '../../terminal/terminal.ts';

/** What a command gets in addition to its flags. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** All commands of the program. */
  readonly commands: readonly CommandEntry[];
}

/** One command: its flags and help as data, so that help, parsing and completions cannot drift apart. */
export interface Command {
  readonly name: string;
  readonly help: HelpText;
  readonly flags: FlagSpecs;
  /** Resolves to the exit code. */
  run(parsed: ParsedFlags<FlagSpecs>, context: CommandContext): Promise<number>;
}

/** A command in the table of a program. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Loads the code of the command when it runs. */
  readonly load: () => Promise<{ readonly command: Command }>;
  /** The command that replaces this one. A deprecated command is not in the overview. */
  readonly deprecatedFor?: string;
}

/** Defines a command; `run` gets the values of its flags with their types. */
export function defineCommand<S extends FlagSpecs>(
  command: Omit<Command, 'flags' | 'run'> & {
    readonly flags: S;
    run(parsed: ParsedFlags<S>, context: CommandContext): Promise<number>;
  },
): Command {
  // `run.ts` parses with these flags, so the values have the types that `run` expects.
  return command;
}
