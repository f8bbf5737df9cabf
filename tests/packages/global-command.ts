/** A command installed with `npm install --global`, without any client; then a client beside the config. */
import assert from 'node:assert/strict';
import { readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { roundTrip } from './round-trip.ts';
import { s3 } from './servers.ts';
import { replicaConfig } from '../services/clients.ts';
import type { Place, Workshop } from './workshop.ts';

/** Packages that come with the command: ltx, core, and libraries of theirs. */
const PACKAGES_MAX = 12;

export async function globalCommand(workshop: Workshop): Promise<string> {
  const prefix = await workshop.folder('global');
  const place: Place = { folder: '/', prefix };
  await workshop.install(place, '--global', '@litestream/cli');
  const installed = await packagesBelow(join(prefix, 'lib', 'node_modules'));
  assert.ok(
    installed.length <= PACKAGES_MAX,
    `the command brings ${installed.length} packages: ${installed.join(', ')}`,
  );

  const site = await workshop.folder('site');
  const running = await s3.start();
  try {
    const [config, source] = [join(site, 'litestream.yml'), join(site, 'app.db')];
    const replica = await replicaConfig(running, 'app');
    await writeFile(config, JSON.stringify({ dbs: [{ path: source, replica }] }));
    const line = await refused(workshop, place, ['replicate', '-once', '-config', config]);
    // Exactly what the error says, beside the config. The command runs elsewhere.
    const { positionals } = parseArgs({ args: line.split(' '), allowPositionals: true });
    assert.deepEqual(positionals, ['npm', 'i', '@litestream/client-s3']);
    await workshop.run('npm', positionals.slice(1), { ...place, folder: site });
    await roundTrip({
      folder: site,
      litestream: (...args) => workshop.run('litestream', args, place),
      from: ['-config', config],
      to: ['-config', config, source],
    });
    const { stdout } = await workshop.run('litestream', ['plugins', '-config', config], place);
    const where = join(site, 'node_modules', '@litestream', 'client-s3');
    const row = stdout.split('\n').find((each) => each.startsWith('@litestream/client-s3'));
    assert.match(row ?? stdout, new RegExp(`^@litestream/client-s3 +\\d+\\.\\d+\\.\\d+ +s3 +s3:// +ok +${where}/`));
    // An SDK loads when it is first used; one that somebody removed is asked for by its own name.
    await rename(join(site, 'node_modules', '@aws-sdk', 'client-s3'), join(site, 'removed'));
    assert.equal(await refused(workshop, place, ['ltx', '-config', config, source]), 'npm i @aws-sdk/client-s3');
    await workshop.run('litestream', ['plugins', '-config', config], place);
  } finally {
    await running.stop();
  }
  await besideTheCommand(workshop, place);
  return `${installed.length} packages without a client; refused S3 with the line that installs one; used it from beside the config, and one from beside itself`;
}

/** A client that is installed globally as well is found from anywhere. */
async function besideTheCommand(workshop: Workshop, place: Place): Promise<void> {
  await workshop.install(place, '--global', '@litestream/client-webdav');
  const { stdout } = await workshop.run('litestream', ['plugins'], place);
  assert.match(stdout, /^@litestream\/client-webdav .* webdav:\/\/ webdavs:\/\/ +ok /m);
}

/** The line that the error tells to run. */
async function refused(workshop: Workshop, place: Place, args: readonly string[]): Promise<string> {
  const child = workshop.start('litestream', args, place);
  const { code } = await child.exited;
  assert.equal(code, 1, child.output);
  const [, line = ''] = /Run: (npm i \S+)/.exec(child.output) ?? [];
  return line;
}

async function packagesBelow(modules: string): Promise<string[]> {
  const entries = await readdir(modules, { recursive: true });
  return entries.filter((path) => /(^|node_modules\/)(@[^/]+\/)?[^/@]+\/package\.json$/.test(path));
}
