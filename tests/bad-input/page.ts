/** What each backend said of each condition, kept in files, and the page that shows them. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { repositoryRoot } from '../support/repository.ts';
import { CONDITIONS, type Condition } from './conditions.ts';

/** What an operation rejected with, or why there is no such condition. */
export type Said =
  | { readonly code: string; readonly retried: boolean; readonly hint: string }
  | { readonly none: string };

export type Table = Readonly<Record<Condition, Said>>;

export const resultsFolder: string = join(repositoryRoot, 'tests', 'bad-input', 'results');
export const pagePath: string = join(repositoryRoot, 'docs', 'reports', 'storage-errors.md');

const conditions = Object.entries(CONDITIONS) as [Condition, string][];

/** As the tables of all backends make it. */
export function renderPage(): string {
  const files = readdirSync(resultsFolder).filter((name) => name.endsWith('.json'));
  const tables = files.map((name): [string, Table] => [
    name.replace('.json', ''),
    JSON.parse(readFileSync(join(resultsFolder, name), 'utf8')) as Table,
  ]);
  return [
    `# Storage errors

Each backend was brought into each of these conditions, and this is what came of it: the [code](../reference/errors.md) of the error,
whether the call is repeated at once, and the next step that the error names. A test does it again with every change and
holds this page to it; another one breaks the place under a running \`litestream replicate\` and repairs it, and expects it
to go on by itself, with nothing lost, whatever the code.
`,
    ...table(
      ['condition', ...tables.map(([backend]) => backend)],
      conditions.map(([condition, title]) => [title, ...tables.map(([, rows]) => codeOf(rows[condition]))]),
    ),
    ...tables.flatMap(([backend, rows]) => ['', `## ${backend}`, ''].concat(detailsOf(rows))),
    '',
  ].join('\n');
}

function detailsOf(rows: Table): string[] {
  return table(
    ['condition', 'code', 'repeated at once', 'what to do'],
    conditions.map(([condition, title]) => {
      const said = rows[condition];
      return 'none' in said
        ? [title, '–', '–', `no such thing: ${said.none}`]
        : [title, `\`${said.code}\``, said.retried ? 'yes' : 'no', said.hint];
    }),
  );
}

function codeOf(said: Said): string {
  return 'none' in said ? '–' : `\`${said.code}\``;
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)];
}
