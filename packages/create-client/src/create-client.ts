import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { namesOf } from './names.ts';
import type { ClientNames } from './names.ts';

export interface CreateClientOptions {
  /** `redis`, `litestream-client-redis` or `@acme/litestream-client-redis`. */
  readonly name: string;
  /** `type:` in configs and scheme of URLs. Default: the last part of the name. */
  readonly type?: string | undefined;
  /** Folder of the new repository. Default: the package's name, without a scope, in the working directory. */
  readonly folder?: string | undefined;
}

export interface CreatedClient extends ClientNames {
  /** Absolute path of the repository. */
  readonly path: string;
  /** Its files, relative to that path. */
  readonly files: readonly string[];
}

const packageFolder = dirname(dirname(fileURLToPath(import.meta.url)));
const templateFolder = join(packageFolder, 'template');
/** npm leaves `.gitignore` out of packages, and tools treat a folder with a `package.json` as a package. */
const RENAMED: Readonly<Record<string, string>> = { _gitignore: '.gitignore', '_package.json': 'package.json' };
/** Files that tools create in the template during development of this project. */
const SKIPPED: ReadonlySet<string> = new Set(['node_modules', 'dist', 'package-lock.json']);

/** Creates a repository from the template. Throws if the folder exists and is not empty. */
export function createClient(options: CreateClientOptions): CreatedClient {
  const names = namesOf(options.name, options.type);
  const path = resolve(options.folder ?? names.folder);
  if (entriesOf(path).length > 0) throw new Error(`${path} exists and is not empty: choose another folder`);
  const files = filesBelow(templateFolder).map((file) => {
    const target = RENAMED[file] ?? file;
    mkdirSync(dirname(join(path, target)), { recursive: true });
    writeFileSync(join(path, target), fill(readFileSync(join(templateFolder, file), 'utf8'), names));
    return target;
  });
  return { ...names, path, files: files.sort() };
}

/** The template is a working client called acme-store; only its names are replaced. */
function fill(text: string, { packageName, type, camel, pascal }: ClientNames): string {
  return text
    .replaceAll('litestream-client-acme-store', packageName)
    .replaceAll('acme-store', type)
    .replaceAll('acmeStore', camel)
    .replaceAll('AcmeStore', pascal)
    .replaceAll('"@litestream/core": "^0.0.0"', `"@litestream/core": "^${ownVersion()}"`)
    .replaceAll('"@litestream/core": ">=0.0.0"', `"@litestream/core": ">=${ownVersion()}"`);
}

/** Core and this package are released together, with one version. */
function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8'));
  return (manifest as { version: string }).version;
}

function filesBelow(folder: string, prefix = ''): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !SKIPPED.has(name))
    .flatMap((entry) =>
      entry.isDirectory()
        ? filesBelow(join(folder, entry.name), `${prefix}${entry.name}/`)
        : [`${prefix}${entry.name}`],
    );
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
