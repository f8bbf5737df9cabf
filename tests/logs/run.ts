/**
 * What the Go program logs over whole lives, asked anew: keeps the shapes of its lines for the test that runs without it,
 * and writes the table of log lines in docs/reports/drop-in.md. Part of `npm run
 * test:dropin`; with the word `logs`, all of it.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { goProgram, tsProgram } from '../support/programs.ts';
import { repositoryRoot } from '../support/repository.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { compare } from './compare.ts';
import type { Verdict } from './compare.ts';
import type { LogFormat } from './lives.ts';
import { recordShapes, shapesOfLives } from './recorded.ts';
import { ADDED_KEYS, FROM_SOURCE, OTHER_KEYS, OURS_ALONE } from './reasons.ts';
import { parseShape, textOf } from './shapes.ts';
import type { Shape } from './shapes.ts';

/** Lines that depend on chance are met in one of a few rounds. */
const ROUND_COUNT = 3;

const env = { LOG_LEVEL: 'debug' };
const [go, ts] = [await goProgram(env), tsProgram(env)];
const recorded: Record<LogFormat, string[]> = { text: [], json: [] };
const faults: string[] = [];
let verdicts: readonly Verdict[] = [];
for (const format of ['json', 'text'] as const) {
  const shapes = new Set<string>();
  for (let round = 0; round < ROUND_COUNT; round += 1) {
    await using folder = await temporaryFolder('go-logs');
    for (const shape of await shapesOfLives(go, folder.path, format)) shapes.add(textOf(shape));
  }
  recorded[format] = [...shapes].sort();
  await using folder = await temporaryFolder('logs');
  const compared = compare(format, recorded[format], await shapesOfLives(ts, folder.path, format));
  faults.push(...compared.faults.map((fault) => `${format}: ${fault}`));
  verdicts = compared.verdicts;
}
recordShapes(recorded);
for (const fault of faults) console.error(fault);
if (faults.length === 0) await writeTable(recorded.text.map(parseShape), verdicts);
console.log(`${recorded.text.length} kinds of log lines of Go, ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;

async function writeTable(shapes: readonly Shape[], answers: readonly Verdict[]): Promise<void> {
  const [start, end] = ['<!-- log lines, made by npm run test:dropin -->', '<!-- end of log lines -->'];
  const path = join(repositoryRoot, 'docs', 'reports', 'drop-in.md');
  const page = await readFile(path, 'utf8');
  const [before, rest] = page.split(start);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`${path} has no place for the log lines`);
  const of = new Map<string, Set<string>>();
  for (const { message, answer } of answers) of.set(message, (of.get(message) ?? new Set()).add(answer));
  const all = new Map([...FROM_SOURCE.map(parseShape), ...shapes].map((shape) => [textOf(shape), shape]));
  const rows = [...all.values()]
    .sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1))
    .map(({ level, message, fields }) => {
      const keys = fields.map((field) => `\`${field.replace(/[:=].*/, '')}\``).join(' ');
      const answer = [
        ...(of.get(message) ?? (OTHER_KEYS[message] === undefined ? ['same'] : [`other keys: ${OTHER_KEYS[message]}`])),
      ];
      return `| ${level} | ${message} | ${keys} | ${answer.join('; ')} |`;
    });
  const own = Object.entries(OURS_ALONE).map(([message, why]) => `| ${message} | ${why} |`);
  const added = Object.entries(ADDED_KEYS).map(([key, why]) => `| \`${key}\` | ${why} |`);
  const table = [
    '| level | message | keys | ours |\n| --- | --- | --- | --- |',
    ...rows,
    '\n| key that ours adds after Go’s | why |\n| --- | --- |',
    ...added,
    '\n| line of ours alone | why |\n| --- | --- |',
    ...own,
  ];
  await writeFile(path, `${before}${start}\n\n${table.join('\n')}\n\n${end}${after}`);
}
