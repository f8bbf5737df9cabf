/**
 * `npm run test:services [-- BACKEND …]`: every client against real servers.
 *
 * Each file under `servers/` is one server; its default export is a `Service`. This program starts them one after the
 * other, runs the checks on each and prints a table. Without arguments it runs all of them; arguments name backends
 * (`s3`) or servers (`moto`). Exits 1 if anything failed.
 */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { type ConformanceResult, runSuite } from './conformance.ts';
import { interop } from './interop.ts';
import { roundTrip } from './round-trip.ts';
import type { Service } from './service.ts';

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const rows: Record<string, string>[] = [];
let failures = 0;

for (const service of await loadServices()) {
  if (wanted.length > 0 && !wanted.includes(service.backend) && !wanted.includes(service.name)) continue;
  rows.push(await check(service));
}
if (rows.length === 0) throw new Error(`no server matches: ${wanted.join(' ')}`);
console.table(rows);
if (failures > 0) {
  console.error(`Error: ${failures} of ${rows.length} servers failed`);
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

async function check(service: Service): Promise<Record<string, string>> {
  const row: Record<string, string> = { backend: service.backend, server: service.name };
  const startedAtMs = Date.now();
  try {
    const running = await service.start();
    try {
      row['round trip'] = await roundTrip(running);
      const result = await runSuite(service, running);
      row['conformance'] = summaryOf(result);
      if (result.problems.length > 0) throw new Error(result.problems.join('\n'));
      row['interop with Go'] = await interop(running);
    } finally {
      await running.stop();
    }
  } catch (error) {
    failures += 1;
    row['error'] = String(error).split('\n')[0] ?? '';
    console.error(`${service.name}:`, error);
  }
  row['seconds'] = ((Date.now() - startedAtMs) / 1000).toFixed(1);
  return row;
}

function summaryOf({ ran, skipped, deviated, problems }: ConformanceResult): string {
  const passed = ran - deviated - problems.length;
  return `${passed} passed, ${skipped} skipped${deviated > 0 ? `, ${deviated} the server cannot` : ''}`;
}
