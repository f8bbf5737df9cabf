import type { HelpText } from '../../flags/help.ts';
import type { FlagSpecs, ParsedFlags } from '../../flags/parse.ts';
import type { Terminal } from '../../terminal/terminal.ts';

/** What a command gets besides its flags. */
export interface CommandContext {
  readonly terminal: Terminal;
}

/** One command: its flags and help as data, so that help, parsing and completions cannot drift apart. */
export interface Command {
  readonly name: string;
  readonly help: HelpText;
  readonly flags: FlagSpecs;
  /** Resolves to the exit code. */
  run(parsed: ParsedFlags<FlagSpecs>, context: CommandContext): Promise<number>;
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
