/**
 * `npm run test:services [-- NAME …]`: every client against real servers.
 *
 * Each file under `servers/` is one server; its default export is a `Service`. This program starts them one after the
 * other, runs the checks on each, prints a table and writes `docs/reports/backends.md`. Without names it runs all of them but the
 * optional ones; names are backends (`s3`), servers (`moto`) and checks (`conformance`, `fidelity`,
 * `interop`, `faults`, `large`).
 * Faults take minutes, and an object of 5 GiB as long, so these run only when they are named (`--large` is `large`, on
 * the servers that keep their objects on the disk). Exits 1 if anything failed. `page` alone runs nothing and
 * writes the page from the results there are, as after a merge of two branches that ran different servers.
 */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { type ConformanceResult, runSuite } from './conformance.ts';
import { runFaults } from './faults.ts';
import { compareAnswers } from './fidelity/compare.ts';
import { interop } from './interop.ts';
import { runLarge } from './large.ts';
import { type ServiceResult, keepResult, writePage } from './results.ts';
import { roundTrip } from './round-trip.ts';
import type { RunningService, Service } from './service.ts';

/** Checks by name, in the order they run. Each adds to the result of its server. */
const CHECKS: Readonly<Record<string, (service: Service, running: RunningService) => Promise<Partial<ServiceResult>>>> =
  {
    conformance: async (service, running) => {
      await roundTrip(running);
      const conformance = await runSuite(service, running);
      return { conformance, deviations: running.deviations };
    },
    fidelity: async (_service, running) => ({
      fidelity: await compareAnswers(running),
      answersDiffer: running.answersDiffer,
    }),
    interop: async (_service, running) => ({ interop: await interop(running), goDiffers: running.goDiffers }),
    faults: async (_service, running) => (running.port === null ? {} : { faults: await runFaults(running) }),
    large: async (service, running) => (running.inMemory === true ? {} : { large: await runLarge(service, running) }),
  };
const ONLY_NAMED: ReadonlySet<string> = new Set(['faults', 'large']);

const names = process.argv.slice(2).map((argument) => argument.replace(/^--/, ''));
if (names.length === 1 && names[0] === 'page') {
  await writePage();
  process.exit();
}
const checks = Object.entries(CHECKS).filter(([name]) =>
  names.some((one) => CHECKS[one] !== undefined) ? names.includes(name) : !ONLY_NAMED.has(name),
);
const wanted = names.filter((name) => CHECKS[name] === undefined);
const services = (await loadServices()).filter(({ backend, name, optional }) =>
  wanted.length === 0 ? optional !== true : wanted.includes(name) || (wanted.includes(backend) && optional !== true),
);
if (services.length === 0) throw new Error(`no server matches: ${wanted.join(' ')}`);

const rows: Record<string, string>[] = [];
const results: ServiceResult[] = [];
for (const service of services) {
  const startedAtMs = Date.now();
  const result = await check(service);
  results.push(result);
  await keepResult(result);
  await writePage();
  rows.push({ ...rowOf(result), seconds: ((Date.now() - startedAtMs) / 1000).toFixed(1) });
}
console.table(rows);
const failures = results.filter(({ error }) => error !== undefined).length;
if (failures > 0) {
  console.error(`Error: ${failures} of ${results.length} servers failed`);
  process.exitCode = 1;
}

async function loadServices(): Promise<Service[]> {
  const folder = join(dirname(fileURLToPath(import.meta.url)), 'servers');
  const files = readdirSync(folder).filter((file) => file.endsWith('.ts'));
  const modules = await Promise.all(
    files.map((file) => import(pathToFileURL(join(folder, file)).href) as Promise<{ default: Service }>),
  );
  return modules.map((module) => module.default).sort((a, b) => (a.backend + a.name).localeCompare(b.backend + b.name));
}

async function check(service: Service): Promise<ServiceResult> {
  const result: ServiceResult = { backend: service.backend, server: service.name };
  try {
    const running = await service.start();
    try {
      for (const [, run] of checks) {
        Object.assign(result, await run(service, running));
      }
      const problems = result.conformance?.problems ?? [];
      if (problems.length > 0) throw new Error(problems.join('\n'));
    } finally {
      await running.stop();
    }
    return result;
  } catch (error) {
    console.error(`${service.name}:`, error);
    return { ...result, error: String(error).split('\n')[0] ?? '' };
  }
}

function rowOf({
  backend,
  server,
  conformance,
  interop: crossed,
  large,
  error,
}: ServiceResult): Record<string, string> {
  return {
    backend,
    server,
    ...(conformance === undefined ? {} : { conformance: summaryOf(conformance) }),
    ...(crossed === undefined
      ? {}
      : { 'interop with Go': `go ${crossed.go.files} files, ours ${crossed.ours.files} files` }),
    ...(large === undefined ? {} : { large: `${large.seconds} s, memory grew by ${large.grownMiB} MiB` }),
    ...(error === undefined ? {} : { error }),
  };
}

function summaryOf({ groups }: ConformanceResult): string {
  const sum = (name: 'passed' | 'skipped' | 'cannot' | 'failed'): number =>
    Object.values(groups).reduce((total, counts) => total + counts[name], 0);
  const texts = [`${sum('passed')} passed`, `${sum('skipped')} skipped`];
  if (sum('cannot') > 0) texts.push(`${sum('cannot')} the server cannot`);
  if (sum('failed') > 0) texts.push(`${sum('failed')} failed`);
  return texts.join(', ');
}
