/** Every command and flag as data, made from the tables that parsing and help use. */
import type { CommandEntry } from './shared/command.ts';

export interface CompletedFlag {
  /** With the leading dash. */
  readonly name: string;
  /** First sentence of the help text. */
  readonly about: string;
  readonly takesValue: boolean;
  /** The value is a path. */
  readonly isPath: boolean;
  /** All valid values; empty if they cannot be listed. */
  readonly words: readonly string[];
}

export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly CompletedFlag[];
}

const PATHS = new Set(['PATH', 'FILE', 'OUTPUT_PATH', 'DIR']);

export async function completedCommands(commands: readonly CommandEntry[]): Promise<CompletedCommand[]> {
  const shown = commands.filter((entry) => entry.deprecatedFor === undefined);
  return await Promise.all(
    shown.map(async ({ name, summary, load }) => {
      const { command } = await load();
      const flags = Object.entries(command.flags).map(([flag, { kind, help }]) => ({
        name: `-${flag}`,
        about: (/^[^\n]*?[.](?=\s|$)/.exec(help)?.[0] ?? help.split('\n', 1)[0] ?? '').replace(/\.$/, ''),
        takesValue: kind.placeholder !== undefined,
        isPath: kind.placeholder !== undefined && PATHS.has(kind.placeholder),
        words: kind.words ?? [],
      }));
      return { name, summary, flags };
    }),
  );
}
