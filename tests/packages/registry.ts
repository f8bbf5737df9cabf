/**
 * A registry on loopback that holds this repository's packages as `npm pack` makes them, so that what is tested is what a
 * user types: `npm i @litestream/core`, `npm create @litestream/client`. Other packages come from the usual registry.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repositoryRoot } from '../support/repository.ts';

const run = promisify(execFile);

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

export interface PackedPackage {
  readonly manifest: Manifest;
  readonly tarball: Buffer;
  readonly unpackedSize: number;
  /** Paths inside the package. */
  readonly files: readonly string[];
}

/** Packs every public package of the repository. They have to be built. */
export async function packAll(folder: string): Promise<PackedPackage[]> {
  const packed: PackedPackage[] = [];
  for (const name of (await readdir(join(repositoryRoot, 'packages'))).sort()) {
    const path = join(repositoryRoot, 'packages', name);
    const manifest = JSON.parse(await readFile(join(path, 'package.json'), 'utf8')) as Manifest;
    if (manifest.private !== true) packed.push(await pack(path, manifest, folder));
  }
  return packed;
}

async function pack(path: string, manifest: Manifest, folder: string): Promise<PackedPackage> {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const { stdout } = await run('npm', args, { cwd: path, maxBuffer: 16 << 20 });
  // npm 12 answers with an object keyed by package name, older ones with an array.
  const answer = JSON.parse(stdout) as Record<string, { unpackedSize: number; files: { path: string }[] }>;
  const [facts] = Object.values(answer);
  if (facts === undefined) throw new Error(`npm pack said nothing about ${manifest.name}`);
  const file = `${manifest.name.replace('@', '').replace('/', '-')}-${manifest.version}.tgz`;
  const tarball = await readFile(join(folder, file));
  return { manifest, tarball, unpackedSize: facts.unpackedSize, files: facts.files.map((each) => each.path) };
}

/** Serves the packages until it is disposed. */
export async function startRegistry(
  packages: readonly PackedPackage[],
): Promise<AsyncDisposable & { readonly url: string }> {
  const byName = new Map(packages.map((each) => [each.manifest.name, each]));
  const server = createServer((request, response) => {
    const [name = '', tarball] = decodeURIComponent(request.url ?? '')
      .slice(1)
      .split('/-/');
    const found = byName.get(name);
    if (found === undefined) response.writeHead(404).end('{}');
    else if (tarball !== undefined) response.end(found.tarball);
    else response.setHeader('content-type', 'application/json').end(JSON.stringify(packument(found)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    url,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  function packument({ manifest, tarball }: PackedPackage): object {
    const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
    const dist = { tarball: `${url}${manifest.name}/-/package.tgz`, integrity };
    return {
      name: manifest.name,
      'dist-tags': { latest: manifest.version },
      versions: { [manifest.version]: { ...manifest, dist } },
    };
  }
}
