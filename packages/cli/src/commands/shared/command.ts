import type { HelpText } from '../../flags/help.ts';
import type { FlagSpecs, ParsedFlags } from '../../flags/parse.ts';
import type { Terminal } from '../../terminal/terminal.ts';

/** What a command gets besides its flags. */
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
  /** A command's code loads when it is run. */
  readonly load: () => Promise<{ readonly command: Command }>;
  /** Not in the overview: an old name. */
  readonly deprecatedFor?: string;
}

/** Makes a command; `run` sees the values of its flags with their types. */
export function defineCommand<S extends FlagSpecs>(
  command: Omit<Command, 'flags' | 'run'> & {
    readonly flags: S;
    run(parsed: ParsedFlags<S>, context: CommandContext): Promise<number>;
  },
): Command {
  // `run.ts` parses with these very flags, so what `run` gets is what it asks for.
  return command;
}
