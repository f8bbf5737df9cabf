/** The example of a client from outside the project: built, proven and used from packages alone. */
import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../support/repository.ts';
import { roundTrip } from './round-trip.ts';
import type { Workshop } from './workshop.ts';

const EXAMPLE = 'third-party-client';

/** @returns what the suite counted */
export async function thirdParty(workshop: Workshop): Promise<string> {
  const folder = join(workshop.path, EXAMPLE);
  await cp(join(repositoryRoot, 'examples', EXAMPLE), folder, {
    recursive: true,
    filter: (path) => !/\/(node_modules|dist|package-lock\.json)$/.test(path),
  });
  await workshop.install({ folder });
  const tests = await workshop.run('npm', ['test'], { folder });
  const count = conformanceCount(tests.output, 280);
  const site = await workshop.project('third-party-site');
  await workshop.run('npm', ['pack', '--pack-destination', site], { folder });
  await workshop.install({ folder: site }, '@litestream/cli', './litestream-client-sqlite-0.1.0.tgz');
  const plugin = ['-plugin', 'litestream-client-sqlite'];
  await roundTrip({
    folder: site,
    litestream: (command = '', ...args) =>
      workshop.run(join('node_modules', '.bin', 'litestream'), [command, ...plugin, ...args], { folder: site }),
    from: ['app.db', 'sqlite-store://all.db?path=app'],
    to: ['sqlite-store://all.db?path=app'],
  });
  return `${count}; a database replicated and restored with it through the command`;
}

/** What the suite prints at its end; throws unless this many ran and none failed. */
export function conformanceCount(output: string, runCount: number): string {
  const [count, ran] = /(\d+) of \d+ conformance cases ran, 0 failed, \d+ skipped/.exec(output) ?? [];
  assert.equal(Number(ran), runCount, output);
  return count ?? '';
}
