import type { FlagSpecs } from './parse.ts';

/** The help of a command. */
export interface HelpText {
  /** One or more paragraphs. */
  readonly about: string;
  /** Forms of the command line, without the name of the program. */
  readonly usage: readonly string[];
  readonly examples?: readonly { readonly about: string; readonly line: string }[];
  /** Paragraphs after the flags. */
  readonly notes?: string;
}

/** Bounds of the line width: wider and narrower lines are hard to read. */
const [COLUMNS_MIN, COLUMNS_MAX] = [40, 76];
const TAB_COLUMNS = 8;

/** The page that `-h` prints, in the layout of Litestream (Go), for a terminal with this many columns. */
export function formatHelp(program: string, help: HelpText, specs: FlagSpecs, columns = COLUMNS_MAX): string {
  const width = Math.max(COLUMNS_MIN, Math.min(COLUMNS_MAX, columns - 1));
  const wrap = (text: string, indent: string): string => wrapTo(width, text, indent);
  const out = [wrap(help.about, ''), 'Usage:', ...help.usage.map((line) => `\t${program} ${line}`)];
  const flags = Object.entries(specs);
  if (flags.length > 0) out.push('Arguments:');
  for (const [name, { kind, help: about }] of flags) {
    const value = kind.placeholder === undefined ? '' : ` ${kind.placeholder}`;
    out.push(`\t-${name}${value}\n${wrap(about, '\t    ')}`);
  }
  if (help.notes !== undefined) out.push(wrap(help.notes, ''));
  if (help.examples !== undefined) {
    out.push('Examples:', ...help.examples.map(({ about, line }) => `\t# ${about}\n\t$ ${program} ${line}`));
  }
  return `${out.join('\n\n')}\n`;
}

/** Paragraphs (separated by an empty line) wrapped at words; lines that start with a space are kept as they are. */
function wrapTo(width: number, text: string, indent: string): string {
  const room = width - indent.replaceAll('\t', ' '.repeat(TAB_COLUMNS)).length;
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    if (paragraph === '' || paragraph.startsWith(' ') || paragraph.startsWith('\t')) {
      lines.push(paragraph === '' ? '' : indent + paragraph);
      continue;
    }
    let line = '';
    for (const word of paragraph.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > room) {
        lines.push(indent + line);
        line = word;
      } else {
        line = line === '' ? word : `${line} ${word}`;
      }
    }
    lines.push(indent + line);
  }
  return lines.join('\n');
}
