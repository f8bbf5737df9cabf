/**
 * What stands in `deploy/`, run as far as a machine without Docker, systemd and Kubernetes can: the commands of each file,
 * word for word, with an S3 server on loopback in place of Amazon's and a folder in place of theirs.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { S3TestServer } from '../../packages/client-s3/test/s3-server.ts';
import { repositoryRoot } from '../support/repository.ts';
import { assertSame, makeDatabase, whileItRuns } from './round-trip.ts';
import type { Place, Workshop } from './workshop.ts';

export async function deploy(workshop: Workshop): Promise<string> {
  const prefix = await workshop.folder('deploy-prefix');
  const folder = await workshop.folder('data');
  await using server = await S3TestServer.start();
  server.buckets.set('my-bucket', new Map());
  const env = {
    AWS_ACCESS_KEY_ID: server.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
    AWS_ENDPOINT_URL: server.endpoint,
  };
  const place: Place = { folder, prefix, env };
  await image(workshop, place);
  using app = makeDatabase(folder);
  await pods(workshop, place, app);
  await drill(workshop, place, app);
  const verified = await unit(workshop, place, app);
  return `commands of Dockerfile, Kubernetes and GitHub Actions run as they stand; ${verified}`;
}

function text(name: string): Promise<string> {
  return readFile(join(repositoryRoot, 'deploy', name), 'utf8');
}

/** The image's own installation, for the user who wants S3; its entry point runs. */
async function image(workshop: Workshop, place: Place): Promise<void> {
  const lines = (await text('Dockerfile')).replaceAll('\\\n', ' ').split('\n');
  const argumentOf = (name: string): string =>
    lines.find((line) => line.startsWith(`ARG ${name}=`))?.replace(/^.*="(.*)"$/, '$1') ?? 'missing';
  assert.equal(argumentOf('CLIENTS'), '');
  const [install = ''] = /^RUN (npm install [^&]*)/m.exec(lines.join('\n'))?.slice(1) ?? [];
  const env = { ...place.env, CLIENTS: '@litestream/client-s3', VERSION: argumentOf('VERSION') };
  await workshop.run('bash', ['-euc', install], { ...place, env });
  const words = (instruction: string): string[] =>
    JSON.parse(
      lines.find((line) => line.startsWith(`${instruction} [`))?.slice(instruction.length) ?? '[]',
    ) as string[];
  const [program = '', ...args] = [...words('ENTRYPOINT'), ...words('CMD')];
  await workshop.run(program, [...args, '-h'], place);
}

/** The first start finds nothing, the daemon replicates, and a fresh volume gets what it sent. */
async function pods(workshop: Workshop, place: Place, app: DatabaseSync): Promise<void> {
  const manifest = await text('kubernetes.yml');
  const lists = [...manifest.matchAll(/^ +args: \[(.*)\]$/gm)].map(([, list = '']) =>
    list.split(', ').map((word) => word.replaceAll("'", '')),
  );
  assert.deepEqual(
    lists.map(([command]) => command),
    ['restore', 'replicate'],
  );
  const [restore = [], replicate = []] = lists;
  const fresh = await workshop.folder('fresh-volume');
  const on = (volume: string, args: readonly string[]): string[] => args.map((each) => each.replace(/^\/data/, volume));
  await workshop.run('litestream', on(fresh, restore), place);
  const [, config = ''] = /^ {2}litestream\.yml: \|\n((?: {4}.*\n)+)/m.exec(manifest) ?? [];
  const configPath = join(place.folder, 'pod.yml');
  await writeFile(
    configPath,
    config.replace(':9090', '127.0.0.1:0').replace('/data', place.folder).replace(/^ {4}/gm, ''),
  );
  const args = replicate.map((each) => each.replace('/etc/litestream/litestream.yml', configPath));
  await whileItRuns(workshop.start('litestream', args, place), app);
  await workshop.run('litestream', on(fresh, restore), place);
  assertSame(app, join(fresh, 'app.db'));
  await workshop.run('litestream', on(fresh, restore), place);
}

/** The steps of the nightly restore; the program `sqlite3` where there is one. */
async function drill(workshop: Workshop, place: Place, app: DatabaseSync): Promise<void> {
  const workflow = await text('github-actions.yml');
  for (const [, name = '', value = ''] of workflow.matchAll(/^ +(AWS_\w+): (.*)$/gm)) {
    assert.equal(value, `\${{ secrets.${name} }}`);
  }
  const commands = [...workflow.matchAll(/^ +- run: (.*)$/gm)].map(([, command = '']) => command);
  assert.equal(commands.length, 3);
  for (const command of commands) {
    if (command.startsWith('sqlite3 ') && spawnSync('sqlite3', ['-version']).error !== undefined) continue;
    await workshop.run('bash', ['-euc', command], place);
  }
  assertSame(app, join(place.folder, 'restored.db'));
}

/** The unit's command replicates, reads its config again and stops by the signals the unit names. */
async function unit(workshop: Workshop, place: Place, app: DatabaseSync): Promise<string> {
  const lines = await text('litestream.service');
  const value = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(lines)?.[1] ?? '';
  assert.equal(value('KillSignal'), 'SIGTERM');
  assert.equal(value('ExecReload'), '/bin/kill -HUP $MAINPID');
  const config = join(place.folder, 'litestream.yml');
  await writeFile(
    config,
    JSON.stringify({ dbs: [{ path: join(place.folder, 'app.db'), replica: { url: 's3://my-bucket/unit' } }] }),
  );
  const [program = '', ...args] = value('ExecStart').replace('/etc/litestream.yml', config).split(' ');
  await whileItRuns(workshop.start(program, args, place), app);
  const copy = join(place.folder, 'unit.db');
  await workshop.run('litestream', ['restore', '-o', copy, 's3://my-bucket/unit'], place);
  assertSame(app, copy);
  const ran = "the systemd unit's command ran and stopped by its signal";
  const verify = spawnSync('systemd-analyze', ['verify', join(repositoryRoot, 'deploy', 'litestream.service')], {
    encoding: 'utf8',
  });
  if (verify.error !== undefined) return ran;
  assert.equal(verify.status, 0, verify.stderr);
  return `${ran}, and systemd-analyze accepts it`;
}
