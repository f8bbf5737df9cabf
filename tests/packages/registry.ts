/**
 * A registry on loopback that holds this repository's packages as `npm pack` makes them, so that what is tested is what a
 * user types: `npm i @litestream/core`, `npm create @litestream/client`. Other packages come from the usual registry.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { httpServer } from '../support/http-server.ts';
import { repositoryRoot } from '../support/repository.ts';

const run = promisify(execFile);

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly description?: string;
  readonly bin?: Readonly<Record<string, string>>;
  readonly repository?: { readonly url: string; readonly directory?: string };
  readonly exports?: Readonly<Record<string, unknown>>;
}

export interface PackedPackage {
  readonly manifest: Manifest;
  /** Below `packages/`. */
  readonly folder: string;
  /** Path of the file that `npm pack` made. */
  readonly path: string;
  readonly tarball: Buffer;
  /** Paths inside the package. */
  readonly files: readonly string[];
}

interface PackAnswer {
  readonly name: string;
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** Packs every public package of the repository. They have to be built. */
export async function packAll(folder: string): Promise<PackedPackage[]> {
  const names = (await readdir(join(repositoryRoot, 'packages'))).sort();
  const manifests = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(repositoryRoot, 'packages', name, 'package.json'), 'utf8');
      return { name, manifest: JSON.parse(text) as Manifest };
    }),
  );
  const published = manifests.filter(({ manifest }) => manifest.private !== true);
  const workspaces = published.flatMap(({ name }) => ['--workspace', `packages/${name}`]);
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder, ...workspaces];
  const { stdout } = await run('npm', args, { cwd: repositoryRoot, maxBuffer: 64 << 20 });
  // npm 12 answers with an object keyed by package name, older ones with an array.
  const answers = Object.values(JSON.parse(stdout) as Record<string, PackAnswer>);
  return Promise.all(
    published.map(async ({ name, manifest }) => {
      const facts = answers.find((each) => each.name === manifest.name);
      if (facts === undefined) throw new Error(`npm pack said nothing about ${manifest.name}`);
      const path = join(folder, facts.filename.replace('@', '').replace('/', '-'));
      return {
        manifest,
        folder: name,
        path,
        tarball: await readFile(path),
        files: facts.files.map((each) => each.path),
      };
    }),
  );
}

/** Serves the packages until it is disposed. */
export async function startRegistry(
  packages: readonly PackedPackage[],
): Promise<AsyncDisposable & { readonly url: string }> {
  const byName = new Map(packages.map((each) => [each.manifest.name, each]));
  const server = httpServer((request, response) => {
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
