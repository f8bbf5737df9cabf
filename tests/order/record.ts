/**
 * `node tests/order/record.ts REPORT`: writes `durations.json` from the JSON report of a run over all packages on a quiet machine,
 * as `npx vitest run --reporter=json --outputFile=REPORT` leaves it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { durationsPath, nameOf } from './longest-first.ts';

/** The order of shorter files does not matter. */
const SECONDS_MIN = 2;

interface Report {
  /** Times in milliseconds since 1970. */
  readonly testResults: readonly { readonly name: string; readonly startTime: number; readonly endTime: number }[];
}

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: record.ts REPORT');
const { testResults } = JSON.parse(readFileSync(path, 'utf8')) as Report;
const durations = testResults
  .map(({ name, startTime, endTime }) => [nameOf(name), Math.round((endTime - startTime) / 1000)] as const)
  .filter(([, seconds]) => seconds >= SECONDS_MIN)
  .sort(([a, aSeconds], [b, bSeconds]) => bSeconds - aSeconds || (a < b ? -1 : 1));
writeFileSync(durationsPath, `${JSON.stringify(Object.fromEntries(durations), undefined, 2)}\n`);
console.log(`${durations.length} files take ${SECONDS_MIN} s or longer`);
