/** Installs every package on one version of Node, and replicates and restores through a server of every backend. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replicaConfig } from '../services/clients.ts';
import type { RunningService, Service } from '../services/service.ts';
import { roundTrip } from './round-trip.ts';
import type { Place, Workshop } from './workshop.ts';

/** @returns names of the servers it went through, `file` first */
export async function onNode(
  workshop: Workshop,
  version: string,
  names: readonly string[],
  services: readonly Service[],
): Promise<string[]> {
  const node = await workshop.node(version);
  const folder = await workshop.project(`node-${version}`);
  const place = { folder, node };
  await workshop.install(place, '--engine-strict', ...names);
  await imports(workshop, place, version, names);
  const replica = { type: 'file', path: join(folder, 'replica') };
  await throughConfig(workshop, place, 'file', replica);
  const done = ['file'];
  for (const service of services) {
    const running = await service.start();
    try {
      const config = await replicaConfig(running, `node-${version}`);
      await throughConfig(workshop, place, serverName(service), config, running.env);
    } catch (cause) {
      throw new Error(`${service.backend} on ${service.name}, Node ${version}`, { cause });
    } finally {
      await running.stop();
    }
    done.push(serverName(service));
  }
  return done;
}

export function serverName({ backend, name }: Service): string {
  return `${backend}: ${name}`;
}

/** Each package loads, and so does each subpath that it exports to a program. */
async function imports(workshop: Workshop, place: Place, version: string, names: readonly string[]): Promise<void> {
  const specifiers = workshop.packages
    .filter(({ manifest }) => names.includes(manifest.name))
    .flatMap(({ manifest }) =>
      Object.keys(manifest.exports ?? {})
        .filter((path) => !path.endsWith('.json'))
        .map((path) => manifest.name + path.slice(1)),
    );
  const program = `
    if (process.versions.node !== ${JSON.stringify(version)}) throw new Error(process.version);
    for (const each of ${JSON.stringify(specifiers)}) await import(each);`;
  await workshop.run('node', ['--input-type=module', '-e', program], place);
}

/** As a user of a server would: with a `litestream.yml`, in a folder of its own below the project. JSON is YAML. */
async function throughConfig(
  workshop: Workshop,
  project: Place,
  name: string,
  replica: RunningService['config'],
  env: NodeJS.ProcessEnv = {},
): Promise<void> {
  const folder = await workshop.folder(project.folder, name.replace(/\W+/g, '-'));
  const [config, source] = [join(folder, 'litestream.yml'), join(folder, 'app.db')];
  await writeFile(config, JSON.stringify({ dbs: [{ path: source, replica }] }));
  const command = join(project.folder, 'node_modules', '.bin', 'litestream');
  await roundTrip({
    folder,
    litestream: (...args) => workshop.run(command, args, { ...project, folder, env }),
    from: ['-config', config],
    to: ['-config', config, source],
  });
}
