/**
 * What the last run on each server gave: a file of its own under `results/`, so that runs on different servers never
 * meet in one, and shown as tables in `docs/reports/backends.md`.
 */
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { CASE_GROUPS } from '@litestream/core/conformance';

import { replicaUrlsPage } from '../replica-urls/table.ts';
import { repositoryRoot } from '../support/repository.ts';
import type { ConformanceResult, GroupCounts } from './conformance.ts';
import type { FaultResult } from './faults.ts';
import type { FidelityResult } from './fidelity/compare.ts';
import type { InteropResult } from './interop.ts';
import type { LargeResult } from './large.ts';

export interface ServiceResult {
  readonly backend: string;
  readonly server: string;
  readonly conformance?: ConformanceResult | undefined;
  /** What the server does instead, for each case it cannot pass. */
  readonly deviations?: Readonly<Record<string, string>> | undefined;
  readonly interop?: InteropResult | undefined;
  /** Facts of objects in which we differ from Go on purpose, and why. */
  readonly goDiffers?: Readonly<Record<string, string>> | undefined;
  /** Answers of the test server of `npm test` that were compared with this one's. */
  readonly fidelity?: FidelityResult | undefined;
  /** Questions it answers otherwise, and why. */
  readonly answersDiffer?: Readonly<Record<string, string>> | undefined;
  readonly faults?: readonly FaultResult[] | undefined;
  readonly large?: LargeResult | undefined;
  readonly error?: string | undefined;
}

const folder = join(repositoryRoot, 'tests', 'services', 'results');
const page = join(repositoryRoot, 'docs', 'reports', 'backends.md');

/** Puts this result in the place of an older one of the same server; what was not run this time stays. */
export async function keepResult(result: ServiceResult): Promise<void> {
  const kept = (await readResults()).find((one) => keyOf(one) === keyOf(result));
  await mkdir(folder, { recursive: true });
  const merged = { ...kept, error: undefined, ...result };
  await writeFile(join(folder, `${keyOf(result)}.json`), `${JSON.stringify(merged, null, 2)}\n`);
}

/** Writes the page anew from the results there are. */
export async function writePage(): Promise<void> {
  await writeFile(page, pageOf((await readResults()).map(withLarge)));
}

async function readResults(): Promise<ServiceResult[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return texts.map((text) => JSON.parse(text) as ServiceResult);
}

/** The large object is a run of its own: it counts where it was done. */
function withLarge(result: ServiceResult): ServiceResult {
  const { conformance, large } = result;
  if (conformance === undefined || large === undefined) return result;
  const once: GroupCounts = { passed: 1, skipped: 0, cannot: 0, failed: 0 };
  const names = (CASE_GROUPS['large'] ?? []).map(({ name }) => name);
  const cases = { ...conformance.cases, ...Object.fromEntries(names.map((name) => [name, once])) };
  return { ...result, conformance: { ...conformance, cases, groups: { ...conformance.groups, large: once } } };
}

function keyOf({ backend, server }: ServiceResult): string {
  return `${backend}-${server}`;
}

function pageOf(results: readonly ServiceResult[]): string {
  return [
    `# Backends, on servers

This page is written by \`npm run test:services\`: each row is the last run on that server. No row of the runs is typed by hand.

## Conformance

Cases of the [contract](../reference/client-contract.md) that passed, each counted once in every variation it ran in (plain, under a
long path, behind core's layer, behind that layer with faults). "n/a": the client declares that the backend has none of
it, or the server cannot be made to refuse, or that the large object was not tried. "cannot": the server fails it whatever a
client does; what it does instead stands below.
`,
    ...conformanceTable(results),
    ...deviationList(results),
    ...caseTable(results),
    ...largeTable(results),
    `
## Interop with Litestream (Go)

One program replicates while an application writes and is killed with SIGKILL; then both restore, and each copy equals
the source row by row. Names and metadata of the objects are compared with what the other program stores.
`,
    ...interopTable(results),
    ...differenceList(results),
    replicaUrlsPage(),
    ...fidelityTables(results),
    ...faultTables(results),
    '',
  ].join('\n');
}

function conformanceTable(results: readonly ServiceResult[]): string[] {
  const ran = results.flatMap((result) =>
    result.conformance === undefined ? [] : [{ ...result, conformance: result.conformance }],
  );
  const groups = Object.keys(ran[0]?.conformance.groups ?? {}).filter((group) =>
    ran.some(({ conformance }) => Object.values(conformance.groups[group] ?? {}).some((count) => count > 0)),
  );
  const total = (counts: readonly GroupCounts[]): GroupCounts => ({
    passed: sum(counts.map(({ passed }) => passed)),
    skipped: sum(counts.map(({ skipped }) => skipped)),
    cannot: sum(counts.map(({ cannot }) => cannot)),
    failed: sum(counts.map(({ failed }) => failed)),
  });
  return table(
    ['backend', 'server', ...groups, 'all'],
    ran.map(({ backend, server, conformance }) => {
      const counts = groups.map((group) => conformance.groups[group] ?? total([]));
      return [backend, server].concat(counts.map(cellOf), cellOf(total(counts)));
    }),
  );
}

/** Every case on every server. */
function caseTable(results: readonly ServiceResult[]): string[] {
  const ran = results.flatMap(({ server, conformance }) =>
    conformance === undefined ? [] : [{ server, conformance }],
  );
  const names = [...new Set(ran.flatMap(({ conformance }) => Object.keys(conformance.cases)))];
  const cell = (counts: GroupCounts | undefined): string => (counts === undefined ? '–' : cellOf(counts));
  return [
    '',
    '### Case by case',
    '',
    ...table(
      ['case', ...ran.map(({ server }) => server)],
      names.map((name) => [name].concat(ran.map(({ conformance }) => cell(conformance.cases[name])))),
    ),
  ];
}

function cellOf({ passed, skipped, cannot, failed }: GroupCounts): string {
  const parts = [
    passed > 0 ? String(passed) : '',
    failed > 0 ? `**${failed} failed**` : '',
    cannot > 0 ? `${cannot} cannot` : '',
    skipped > 0 ? `${skipped} n/a` : '',
  ];
  return parts.filter((part) => part !== '').join(', ') || '–';
}

function deviationList(results: readonly ServiceResult[]): string[] {
  const lines = results.flatMap(({ server, deviations = {} }) =>
    Object.entries(deviations).map(([name, instead]) => `- ${server}: “${name}”: ${instead}`),
  );
  return lines.length === 0 ? [] : ['', 'What servers cannot:', '', ...lines];
}

function largeTable(results: readonly ServiceResult[]): string[] {
  const rows = results.flatMap(({ backend, server, large }) =>
    large === undefined
      ? []
      : [[backend, server, large.size.toLocaleString('en'), `${large.seconds} s`, `${large.grownMiB} MiB`]],
  );
  if (rows.length === 0) return [];
  return [
    `
## A very large object

The case about an object of the size class of 5 GiB (\`npm run test:services -- --large\`): it is streamed in, read back and
compared byte by byte, and the memory of the client's process must not grow by 512 MiB. Servers that keep objects in memory
are left out.
`,
    ...table(['backend', 'server', 'bytes', 'stored, read and compared in', 'memory grew by at most'], rows),
  ];
}

function interopTable(results: readonly ServiceResult[]): string[] {
  const rows = results.flatMap(({ backend, server, interop }) => {
    if (interop === undefined) return [];
    const { go, ours, shapes } = interop;
    const side = (one: { files: number; rows: number }): string => `${one.files} files, ${one.rows} rows`;
    const metadata = [...new Set(Object.values(shapes).flatMap((facts) => Object.keys(facts)))].sort();
    return [[backend, server, side(go), side(ours), 'yes', metadata.join(', ') || '–']];
  });
  const heads = ['backend', 'server', 'Go wrote, both restored', 'we wrote, both restored', 'same names and metadata'];
  return table([...heads, 'compared beside names'], rows);
}

function differenceList(results: readonly ServiceResult[]): string[] {
  const lines = results.flatMap(({ server, goDiffers = {} }) =>
    Object.entries(goDiffers).map(([fact, reason]) => `- ${server}: ${fact}: ${reason}`),
  );
  return lines.length === 0 ? [] : ['', 'Left out of the comparison, on purpose:', '', ...lines];
}

function fidelityTables(results: readonly ServiceResult[]): string[] {
  const compared = results.flatMap(({ backend, server, fidelity, answersDiffer = {} }) =>
    fidelity === undefined ? [] : [{ backend, server, ...fidelity, answersDiffer }],
  );
  if (compared.length === 0) return [];
  const reasons = compared.flatMap(({ server, answersDiffer }) =>
    Object.entries(answersDiffer).map(([name, reason]) => `- ${server}: ${name}: ${reason}`),
  );
  return [
    `
## The test servers of \`npm test\`

They are models of ours, so each is asked the same raw requests as real servers of its protocol, and the answers are
compared: status, error code, the headers a client needs, bodies, names in listings, their order and paging.
`,
    ...table(
      ['backend', 'server', 'same answers', 'different, with a reason'],
      compared.map(({ backend, server, same, different }) => [backend, server, String(same), String(different)]),
    ),
    ...(reasons.length === 0 ? [] : ['', 'Where real servers answer otherwise:', '', ...reasons]),
  ];
}

function faultTables(results: readonly ServiceResult[]): string[] {
  const rows = results.flatMap(({ backend, server, faults = [] }) =>
    faults.map(({ name, what, transactions, recoveredMs }) => [
      backend,
      server,
      name,
      what,
      String(transactions),
      `${(recoveredMs / 1000).toFixed(1)} s`,
    ]),
  );
  if (rows.length === 0) return [];
  return [
    `
## Faults

A writer commits without a pause, \`litestream replicate\` reaches the server through Toxiproxy, and the fault comes and
goes. Afterwards a restored copy holds every transaction, the replica's files follow each other without a gap or a
double, and the process is the one that was started.
`,
    ...table(['backend', 'server', 'fault', 'what', 'transactions', 'level again after'], rows),
  ];
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
