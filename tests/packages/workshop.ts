/** A place outside the repository where packages are installed as a user installs them, from a registry on loopback. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { Child } from '../support/child.ts';
import { cacheFolder, repositoryRoot } from '../support/repository.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { packAll, startRegistry } from './registry.ts';
import type { PackedPackage } from './registry.ts';

const TIMEOUT_MS = 300_000;

export class Workshop implements AsyncDisposable {
  readonly path: string;
  readonly packages: readonly PackedPackage[];
  readonly #stack: AsyncDisposableStack;

  private constructor(path: string, packages: readonly PackedPackage[], stack: AsyncDisposableStack) {
    this.path = path;
    this.packages = packages;
    this.#stack = stack;
  }

  /** Packs every package of the repository, which have to be built, and offers them. */
  static async open(): Promise<Workshop> {
    await using stack = new AsyncDisposableStack();
    const { path } = stack.use(await temporaryFolder('packages'));
    await mkdir(join(path, 'tarballs'));
    const packages = await packAll(join(path, 'tarballs'));
    const registry = stack.use(await startRegistry(packages));
    await writeFile(join(path, 'npmrc'), `@litestream:registry=${registry.url}\n`);
    return new Workshop(path, packages, stack.move());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }

  get names(): readonly string[] {
    return this.packages.map(({ manifest }) => manifest.name);
  }

  /** Makes a folder here, or below one of those. */
  async folder(...names: string[]): Promise<string> {
    const folder = resolve(this.path, ...names);
    await mkdir(folder, { recursive: true });
    return folder;
  }

  /** A folder with nothing but a `package.json`. */
  async project(name: string): Promise<string> {
    const folder = await this.folder(name);
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }));
    return folder;
  }

  /**
   * Runs a program on this Node, with `npm` and `litestream` as a user has them: nothing of this repository is in reach.
   *
   * @param place.prefix where `npm install --global` puts things, and where they are run from
   */
  run(command: string, args: readonly string[], place: Place): Promise<Child> {
    return this.start(command, args, place).done(TIMEOUT_MS);
  }

  start(command: string, args: readonly string[], { folder, node, prefix, env = {} }: Place): Child {
    const kept = Object.entries(process.env).filter(([name]) => !INHERITED.test(name));
    const outside = (process.env['PATH'] ?? '').split(delimiter).filter((each) => !each.startsWith(repositoryRoot));
    const path = [
      node ?? dirname(process.execPath),
      ...(prefix === undefined ? [] : [join(prefix, 'bin')]),
      ...outside,
    ];
    return new Child([command, ...args].join(' '), command, args, {
      cwd: folder,
      env: {
        ...Object.fromEntries(kept),
        PATH: path.join(delimiter),
        npm_config_globalconfig: join(this.path, 'npmrc'),
        npm_config_yes: 'true',
        ...(prefix === undefined ? {} : { npm_config_prefix: prefix }),
        ...env,
      },
    });
  }

  /** `npm install` of these packages, or of what a `package.json` names. */
  async install(place: Place, ...names: string[]): Promise<void> {
    await this.run('npm', ['install', ...QUIET, ...names], place);
  }

  /** Folder with the program `node` of a version, which npm carries. */
  async node(version: string): Promise<string> {
    const folder = await cacheFolder('node', version);
    const name = `node-${process.platform}-${process.arch}`;
    const bin = join(folder, 'node_modules', name, 'bin');
    if (!existsSync(join(bin, 'node'))) {
      await writeFile(join(folder, 'package.json'), '{"private":true}');
      await this.install({ folder }, '--save-exact', `${name}@${version}`);
    }
    return bin;
  }

  /** An npm cache of its own: `npx` and `npm create` keep what they installed, whatever a registry has by now. */
  async freshCache(): Promise<NodeJS.ProcessEnv> {
    return { npm_config_cache: await this.folder('cache') };
  }
}

/** Where a program runs. */
export interface Place {
  readonly folder: string;
  /** Folder of the program `node`. Default: that of this process. */
  readonly node?: string | undefined;
  readonly prefix?: string | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
}

const QUIET = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
/** What `npm run` and a test runner tell the programs they start about themselves. */
const INHERITED =
  /^(npm_lifecycle_.*|npm_package_.*|npm_command|npm_config_(local_prefix|global_prefix|prefix|globalconfig|yes)|NODE_TEST_CONTEXT|NODE_OPTIONS|FORCE_COLOR|NO_COLOR|AWS_.*|LITESTREAM_.*)$/i;
