/**
 * The Go program and ours, given the same command lines in the same kind of place: `npm run test:dropin -- [WORD ...]`,
 * with words only the cases whose name holds one. Exits with 1 on a difference without a written reason. It keeps Go's
 * answers for the test that runs without the Go program (with RECORDED set, it takes those), and writes the table in
 * docs/reports/drop-in.md when all cases were run.
 */
import { join } from 'node:path';
import { temporaryFolder } from '../support/temporary-folder.ts';
import type { Answer } from './case.ts';
import { cases } from './cases.ts';
import { goAnswer, record, recordedAnswers } from './go.ts';
import { ourAnswer } from './ours.ts';
import { makeTemplate } from './place.ts';
import { explain } from './reasons.ts';
import { writeTable } from './table.ts';
import type { Row } from './table.ts';

const words = process.argv.slice(2);
const selected = words.length === 0 ? cases : cases.filter(({ name }) => words.some((word) => name.includes(word)));
await using folder = await temporaryFolder('dropin');
const template = join(folder.path, 'template');
await makeTemplate(template);
const root = join(folder.path, 'place');

const known = recordedAnswers();
const answers: Record<string, Answer> = {};
const rows: Row[] = [];
let failed = 0;
for (const each of selected) {
  const kept = process.env['RECORDED'] === undefined ? undefined : known[each.name];
  const go = kept ?? (await goAnswer(template, root, each));
  const ts = await ourAnswer(template, root, each);
  answers[each.name] = go;
  const { reasons, open } = explain({ each, go, ts });
  rows.push({ each, reasons });
  if (open.length === 0) continue;
  failed += 1;
  console.log(`\n${each.name}: ${open.join(', ')} differ without a reason\n$ litestream ${each.args.join(' ')}`);
  for (const part of open) {
    console.log(`--- Go ${part}\n${JSON.stringify(go[part])}\n--- ours ${part}\n${JSON.stringify(ts[part])}`);
  }
}
const same = rows.filter(({ reasons }) => reasons.length === 0).length;
console.log(
  `${rows.length} command lines: ${same} the same, ${rows.length - same - failed} with a reason, ${failed} failed`,
);
record(words.length === 0 ? answers : { ...known, ...answers });
if (words.length === 0 && failed === 0) await writeTable(rows);
process.exitCode = failed === 0 ? 0 : 1;
