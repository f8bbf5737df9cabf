/** The table of docs/reports/drop-in.md, made from a run. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../support/repository.ts';
import type { DropInCase } from './case.ts';
import { REASONS } from './reasons.ts';
import type { Reason } from './reasons.ts';

export interface Row {
  readonly each: DropInCase;
  readonly reasons: readonly Reason[];
}

const START = '<!-- made by npm run test:dropin -->';
const END = '<!-- end -->';

export async function writeTable(rows: readonly Row[]): Promise<void> {
  const path = join(repositoryRoot, 'docs', 'reports', 'drop-in.md');
  const page = await readFile(path, 'utf8');
  const [before, rest] = page.split(START);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`${path} has no place for the table`);
  await writeFile(path, `${before}${START}\n\n${tableOf(rows)}\n${END}${after}`);
}

function tableOf(rows: readonly Row[]): string {
  const same = rows.filter(({ reasons }) => reasons.length === 0).length;
  const used = REASONS.filter((reason) => rows.some(({ reasons }) => reasons.includes(reason)));
  const lines = rows.map(({ each, reasons }) => {
    const commandLine = ['litestream', ...each.args].join(' ').replaceAll('|', '\\|');
    const verdict = reasons.length === 0 ? 'same' : reasons.map(({ id }) => id).join(', ');
    return `| ${each.name.replaceAll('|', '\\|')} | \`${commandLine}\` | ${verdict} |`;
  });
  return [
    `${rows.length} command lines: ${same} have the same answer, ${rows.length - same} differ for a reason.\n`,
    '| reason | why |\n| --- | --- |',
    ...used.map(({ id, why }) => `| ${id} | ${why} |`),
    '\n| case | command line | answer |\n| --- | --- | --- |',
    ...lines,
    '',
  ].join('\n');
}
