import type { FlagSpecs } from './parse.ts';

/** What a command says about itself. */
export interface HelpText {
  /** One or more paragraphs. */
  readonly about: string;
  /** Forms of the command line, without the program's name. */
  readonly usage: readonly string[];
  readonly examples?: readonly { readonly about: string; readonly line: string }[];
  /** Paragraphs after the flags. */
  readonly notes?: string;
}

const COLUMNS = 76;

/** The page that `-h` prints, laid out as upstream's. */
export function formatHelp(program: string, help: HelpText, specs: FlagSpecs): string {
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

/** Paragraphs (parted by an empty line) wrapped at words; lines that start with a space are kept as they are. */
function wrap(text: string, indent: string): string {
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    if (paragraph === '' || paragraph.startsWith(' ') || paragraph.startsWith('\t')) {
      lines.push(paragraph === '' ? '' : indent + paragraph);
      continue;
    }
    let line = '';
    for (const word of paragraph.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > COLUMNS - indent.length) {
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
