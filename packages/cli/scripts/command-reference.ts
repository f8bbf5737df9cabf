/** The page that lists every command and flag, made from the tables that parse command lines and print `-h`. */
import { readFileSync } from 'node:fs';
import type { Command, CommandEntry } from '../src/commands/shared/command.ts';
import { COMMANDS } from '../src/commands/table.ts';
import { defaultConfigPath } from '../src/config/paths.ts';
import type { GeneratedFile } from '../src/config/schema/generated-files.ts';

const MARK = '<!-- made from packages/cli/src/commands by `npm run docs`: change it there -->';

/** @param packageUrl Folder of the CLI package, in its repository. */
export async function commandPage(packageUrl: URL): Promise<GeneratedFile> {
  const url = new URL('../../docs/reference/command-line.md', packageUrl);
  const [introduction = ''] = readFileSync(url, 'utf8').split(MARK);
  return { url, content: `${introduction}${MARK}\n\n${await commandReference(COMMANDS)}` };
}

/** Markdown. */
export async function commandReference(entries: readonly CommandEntry[]): Promise<string> {
  const shown = entries.filter(({ deprecatedFor }) => deprecatedFor === undefined);
  const commands = await Promise.all(shown.map(async ({ load }) => (await load()).command));
  const rows = commands.map(({ name, help }) => `| [\`${name}\`](#${name}) | ${prose(firstSentence(help.about))} |`);
  const old = entries.flatMap(({ name, deprecatedFor }) =>
    deprecatedFor === undefined ? [] : [`\`${name}\` is the old name of \`${deprecatedFor}\`.\n`],
  );
  const table = `## Commands\n\n| command | what it does |\n| --- | --- |\n${rows.join('\n')}\n`;
  return [table, ...old, ...commands.map(section)].join('\n');
}

function firstSentence(text: string): string {
  return /^[^]*?\.(?= |$)/.exec(text)?.[0] ?? text;
}

function section({ name, help, flags }: Command): string {
  const parts = [`## ${name}`, prose(help.about), code(help.usage.map((line) => `litestream ${line}`))];
  const rows = Object.entries(flags).map(([flag, { kind, help: about }]) => {
    const value = kind.placeholder === undefined ? '' : ` ${kind.placeholder}`;
    return `| \`-${flag}${value}\` | ${prose(about)} |`;
  });
  if (rows.length > 0) parts.push(`| flag | meaning |\n| --- | --- |\n${rows.join('\n')}`);
  if (help.notes !== undefined) parts.push(prose(help.notes));
  const examples = help.examples ?? [];
  if (examples.length > 0)
    parts.push(code(examples.flatMap(({ about, line }) => [`# ${about}`, `litestream ${line}`])));
  return `${parts.join('\n\n')}\n`;
}

function code(lines: readonly string[]): string {
  return `\`\`\`sh\n${lines.join('\n')}\n\`\`\``;
}

/** Text of a help page as one paragraph: flags and variables as code, nothing as Markdown or HTML. */
function prose(text: string): string {
  const sentences = text
    .replaceAll(defaultConfigPath(), '/etc/litestream.yml')
    .split('\n')
    .map((line) => (/[.!?]$/.test(line) ? line : `${line}.`));
  return sentences
    .join(' ')
    .split(CODE)
    .map((part, at) => (at % 2 === 1 ? `\`${part}\`` : part.replaceAll(/[\\<>|*_[\]]/g, String.raw`\$&`)))
    .join('');
}

/** Flags, names of variables, and paths. */
const CODE = /((?<![\w-])-[a-z]+(?:-[a-z]+)*\b|\$[A-Z]+\b|\b[A-Z]+(?:_[A-Z]+)+\b|(?<!\S)\/[a-z][\w/.]*\w)/;
