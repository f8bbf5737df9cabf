/** One command line that both programs are given, and what counts as the same answer. */

export interface DropInCase {
  /** Command first: `restore -force`. What the table is sorted by. */
  readonly name: string;
  /** `$ROOT` stands for the folder of the place. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Files of this case alone; `$ROOT` as in `args`. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Files that are new, gone or changed after it. */
  readonly changes: readonly string[];
}

export const PARTS = ['code', 'stdout', 'stderr', 'changes'] as const;
export type Part = (typeof PARTS)[number];

/** The parts in which two answers differ. */
export function differences(a: Answer, b: Answer): Part[] {
  return PARTS.filter((part) => JSON.stringify(a[part]) !== JSON.stringify(b[part]));
}

/** Go's `flag` package says it, the program says it again, and the help goes to standard output. */
export const FLAG_ERROR = /^(Warning: .*\n)?(.+)\nError: \2\n$/;

/** An answer without what differs between two runs of one program: times, durations, the place. */
export function normalised(answer: Answer, root: string, isHelp: boolean): Answer {
  const mend = (text: string): string => {
    return text
      .replaceAll(root, '$ROOT')
      .replaceAll(/time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[-+]\d\d:\d\d)/g, 'time=T')
      .replaceAll(/"time":"[^"]*"/g, '"time":"T"')
      .replaceAll(/\bversion=[\d.]+/g, 'version=V')
      .replaceAll(/"duration_ms": \d+/g, '"duration_ms": N')
      .replaceAll(/\b(duration|elapsed|after)=[\d.]+[a-zµ]+/g, '$1=D');
  };
  const isUsagePage = FLAG_ERROR.test(answer.stderr);
  const stdout = isHelp || isUsagePage ? flagsOf(answer.stdout) : mend(answer.stdout);
  return { ...answer, stdout, stderr: mend(answer.stderr) };
}

/** Help is in words of our own: of it, what the flags are is compared, and that it says how the command is used. */
function flagsOf(help: string): string {
  const flags = [...help.matchAll(/^\s+(-[a-z][a-z-]*)(?: [A-Z_]+)?$/gm)].map((match) => match[1] ?? '');
  return [/usage:/i.test(help) ? 'usage' : '', ...new Set(flags)].sort().join('\n');
}

export function isHelp({ args }: DropInCase): boolean {
  return args[0] === 'help' || args[0]?.startsWith('-') !== false || args.some((arg) => /^--?(h|help)$/.test(arg));
}
