/** Does what docs/guides/write-a-client.md says, line by line, in an empty folder. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { repositoryRoot } from '../support/repository.ts';
import { assertSame, makeDatabase, roundTrip, whileItRuns } from './round-trip.ts';
import { conformanceCount } from './third-party.ts';
import type { Place, Workshop } from './workshop.ts';

const PAGE = join(repositoryRoot, 'docs', 'guides', 'write-a-client.md');

/** @returns what the suite counted */
export async function writeAClient(workshop: Workshop): Promise<string> {
  const page = await readFile(PAGE, 'utf8');
  const prefix = await workshop.folder('author-prefix');
  const env = await workshop.freshCache();
  let folder = await workshop.folder('author');
  let app: DatabaseSync | undefined;
  let count = '';
  for (const line of commandsOf(page)) {
    const [program = '', ...args] = line.split(' ');
    if (program === 'cd') {
      folder = resolve(folder, args[0] ?? '');
    } else if (program === 'mkdir') {
      await mkdir(resolve(folder, args[0] ?? ''));
    } else if (program === 'litestream' && args[0] === 'replicate') {
      app ??= makeDatabase(folder);
      await whileItRuns(workshop.start(program, args, { folder, prefix, env }), app);
    } else {
      const { output } = await workshop.run(program, args, { folder, prefix, env });
      if (line === 'npm test') count = conformanceCount(output, 204);
      if (args[0] === 'restore' && app !== undefined) assertSame(app, join(folder, 'copy.db'));
    }
  }
  app?.close();
  assert.ok(app !== undefined && count !== '', 'the page no longer says how to test and to replicate');
  await asUser(workshop, { folder, prefix, env }, page);
  return `${count}; built, packed, installed beside a config, and used by a global command`;
}

/** What it has people type: indented lines, without remarks. */
function commandsOf(page: string): string[] {
  const lines = [...page.matchAll(/^ {4}((?:npm|cd|mkdir|litestream) .*)$/gm)];
  return lines.map(([, line = '']) => line.replace(/ +#.*$/, ''));
}

/** The config at the end of the page, with what this machine has for its database. */
async function asUser(workshop: Workshop, place: Place, page: string): Promise<void> {
  const [, yaml = ''] = /```yaml\n(plugins:.*?)```/s.exec(page) ?? [];
  assert.match(yaml, /\/var\/lib\/app\.db/);
  const folder = resolve(place.folder, '..', 'site');
  const [config, source] = [join(folder, 'litestream.yml'), join(folder, 'app.db')];
  await writeFile(config, yaml.replace('/var/lib/app.db', source));
  await roundTrip({
    folder,
    litestream: (...args) => workshop.run('litestream', args, { ...place, folder: '/' }),
    from: ['-config', config],
    to: ['-config', config, source],
  });
}
