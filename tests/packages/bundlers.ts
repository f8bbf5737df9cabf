/** Bundles an application into one file, and checks that it replicates and restores where no package is installed. */
import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../support/repository.ts';
import { until } from '../support/wait.ts';
import type { Workshop } from './workshop.ts';

const ESBUILD = 'esbuild@0.28.2';
const WEBPACK = ['webpack@5.113.0', 'webpack-cli@7.3.1'];
const VITE = 'vite@8.4.0';
const NEXT = ['next@16.4.6', 'react@19.3.1', 'react-dom@19.3.1'];

const APPS = join(repositoryRoot, 'examples', 'apps');
const EXPECTED = { proven: true, rowCount: 1000 };

/** Checks bundles of esbuild (both formats), webpack and Vite. @returns their names */
export async function bundlers(workshop: Workshop): Promise<string> {
  const folder = await workshop.project('bundled');
  await cp(join(APPS, 'bundled'), folder, { recursive: true });
  await workshop.install({ folder }, '@litestream/core', ESBUILD, ...WEBPACK, VITE);
  const bin = (name: string): string => join('node_modules', '.bin', name);
  const esbuild = ['main.mjs', '--bundle', '--platform=node', '--log-level=error'];
  const builds: readonly (readonly [name: string, program: string, args: readonly string[], output: string])[] = [
    ['esbuild, CommonJS', 'esbuild', [...esbuild, '--format=cjs', '--outfile=out/main.cjs'], 'main.cjs'],
    [
      'esbuild, ES modules, minified',
      'esbuild',
      [...esbuild, '--format=esm', '--minify', '--outfile=out/main.mjs'],
      'main.mjs',
    ],
    ['webpack', 'webpack', [], 'webpack/main.cjs'],
    ['Vite', 'vite', ['build'], 'vite/main.js'],
  ];
  for (const [name, program, args] of builds) {
    const { output } = await workshop.run(bin(program), args, { folder });
    assert.doesNotMatch(output, /warning/i, `${name}: ${output}`);
  }
  // No `node_modules` folder is on the path from here.
  const alone = await workshop.project('bundled-alone');
  await cp(join(folder, 'out'), alone, { recursive: true });
  for (const [name, , , output] of builds) {
    const { stdout } = await workshop.run('node', [output], { folder: alone });
    assert.deepEqual(JSON.parse(stdout), EXPECTED, name);
  }
  return `${builds.map(([name]) => name).join('; ')}: a commit of 90 MB, a restore and SQLite's check in each`;
}

/** Checks the same application in a route of Next. */
export async function next(workshop: Workshop): Promise<string> {
  const folder = await workshop.project('next');
  await cp(join(APPS, 'next'), folder, { recursive: true });
  await cp(join(APPS, 'bundled', 'round-trip.mjs'), join(folder, 'app', 'run', 'round-trip.mjs'));
  await workshop.install({ folder }, '@litestream/core', ...NEXT);
  const place = { folder, env: { NEXT_TELEMETRY_DISABLED: '1' } };
  await workshop.run(join('node_modules', '.bin', 'next'), ['build'], place);
  await using server = workshop.start(
    join('node_modules', '.bin', 'next'),
    ['start', '-p', '0', '-H', '127.0.0.1'],
    place,
  );
  const url = await until('the address of the server', () => /http:\/\/[\w.]+:\d+/.exec(server.stdout)?.[0], {
    failed: () => (server.exit === undefined ? undefined : server.output),
  });
  const response = await fetch(`${url}/run`);
  assert.deepEqual(await response.json(), EXPECTED, server.output);
  return `${NEXT[0] ?? ''}: a commit of 90 MB, a restore and SQLite's check in a route`;
}
