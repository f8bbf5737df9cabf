/** Writes the API reference as Markdown: one page for each export of each published package. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Application, Comment, ReflectionKind } from 'typedoc';
import type { ProjectReflection } from 'typedoc';
import { REPOSITORY_URL, repositoryRoot } from './repository.ts';

interface Manifest {
  readonly name: string;
  readonly description: string;
  readonly private?: boolean;
  readonly exports?: Readonly<Record<string, string | { readonly types?: string }>>;
}

interface EntryPoint {
  /** As programs import it: `@litestream/core/testing`. */
  readonly name: string;
  readonly packageName: string;
  readonly description: string;
  readonly source: string;
}

/** For the packages of this repository only, as their comments say. */
const NOT_PUBLIC: ReadonlySet<string> = new Set(['@litestream/cli/kit', '@litestream/core/nearest']);

/** Descriptions of modules that are only a part of a package. */
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  '@litestream/core/conformance': 'What every storage client must do, as tests for any test runner.',
  '@litestream/core/testing': 'Clients for tests: one keeps files in memory, one fails as it is told to.',
  '@litestream/ltx/node': 'LTX files on disk.',
};

/** The modules that the manifests of the published packages export. */
function entryPoints(): EntryPoint[] {
  return readdirSync(join(repositoryRoot, 'packages')).flatMap((folder) => {
    const packageFolder = join(repositoryRoot, 'packages', folder);
    const manifest = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as Manifest;
    if (manifest.private === true) return [];
    return Object.entries(manifest.exports ?? {}).flatMap(([path, target]) => {
      const types = typeof target === 'string' ? undefined : target.types;
      if (types === undefined) return [];
      const source = types.replace(/^\.\/dist\//, 'src/').replace(/\.d\.ts$/, '.ts');
      const name = manifest.name + path.slice(1);
      const description = DESCRIPTIONS[name] ?? manifest.description;
      return [{ name, packageName: manifest.name, description, source: join(packageFolder, source) }];
    });
  });
}

/**
 * Writes the pages to `folder`.
 *
 * @throws Error if a link in a comment is broken, or typedoc gives a warning other than one about types that are not exported
 */
export async function writeApiReference(folder: string): Promise<void> {
  const all = entryPoints();
  const shown = all.filter(({ name }) => !NOT_PUBLIC.has(name));
  const app = await Application.bootstrapWithPlugins({
    plugin: ['typedoc-plugin-markdown'],
    tsconfig: join(import.meta.dirname, 'tsconfig.api.json'),
    // Packages import the sources of each other: a type has one page, and comments are never older than the sources.
    compilerOptions: { paths: Object.fromEntries(all.map(({ name, source }) => [name, [source]])) },
    entryPoints: shown.map(({ source }) => source),
    name: 'API',
    readme: 'none',
    basePath: repositoryRoot,
    disableGit: true,
    gitRevision: 'main',
    // The path is from the folder of all entry points.
    sourceLinkTemplate: `${REPOSITORY_URL}/blob/main/packages/{path}#L{line}`,
    // `npm run typecheck` checks types, with the compiler that builds the packages.
    skipErrorChecking: true,
    excludeInternal: true,
    logLevel: 'Warn',
    outputs: [{ name: 'markdown', path: folder }],
    ...markdownOptions,
  });
  const points = app.getEntryPoints();
  if (points === undefined) throw new Error('typedoc finds no entry point');
  for (const point of points) {
    const name = shown.find(({ source }) => source === point.sourceFile.fileName)?.name;
    if (name !== undefined) point.displayName = name;
  }
  // `convert` uses the entry points with these names. Only `app.convert` prepares links to the sources.
  app.getEntryPoints = () => points;
  const project = await app.convert();
  if (project === undefined) throw new Error('typedoc converts nothing: see above');
  for (const { name, description } of shown) {
    const module = project.getChildByName([name]);
    if (module?.kind !== ReflectionKind.Module) throw new Error(`typedoc does not show ${name}`);
    module.comment ??= new Comment([{ kind: 'text', text: description }]);
  }
  app.options.setValue('validation', { notExported: false, invalidLink: true, rewrittenLink: true });
  app.validate(project);
  await app.generateOutputs(project);
  if (app.logger.hasErrors() || app.logger.hasWarnings()) throw new Error('typedoc has warnings: see above');
  listTypesWithoutPage(app, project, new Set(shown.map(({ packageName }) => packageName)));
}

/** Prints the types of public signatures that their packages do not export. */
function listTypesWithoutPage(app: Application, project: ProjectReflection, packageNames: ReadonlySet<string>): void {
  app.options.setValue('validation', { notExported: true, invalidLink: false, rewrittenLink: false });
  for (const packageName of packageNames) {
    // Typedoc checks the types of one package only.
    project.packageName = packageName;
    app.validate(project);
  }
}

/** Options of typedoc-plugin-markdown, which typedoc's own type lacks. */
const markdownOptions: Readonly<Record<string, unknown>> = {
  entryFileName: 'index',
  hidePageHeader: true,
  indexFormat: 'table',
  parametersFormat: 'table',
  useCodeBlocks: true,
  expandParameters: true,
};
