/** The pages of the site: the page of each file of the repository, and the targets of links between them. */
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { REPOSITORY_URL, repositoryRoot } from './repository.ts';

/** VitePress reads the pages here. Git ignores the folder. */
export const pagesFolder: string = join(import.meta.dirname, 'pages');

/** Pages by file, as paths from the root of the repository: `docs/guides/restore.md` is shown as `guides/restore.md`. */
export const pageOfSource: ReadonlyMap<string, string> = new Map(
  globSync(['{README,CONTRIBUTING,SECURITY}.md', 'docs/**/*.md', 'packages/*/README.md'], { cwd: repositoryRoot })
    .map((path) => path.replaceAll('\\', '/'))
    .sort()
    .map((source) => [source, pageOf(source)]),
);

const sourceOfPage: ReadonlyMap<string, string> = new Map([...pageOfSource].map(([source, page]) => [page, source]));

function pageOf(source: string): string {
  if (source === 'README.md') return 'index.md';
  if (source === 'docs/README.md') return 'pages.md';
  if (!source.includes('/')) return source.toLowerCase();
  if (source.startsWith('packages/')) return `${dirname(source)}.md`;
  return source.replace(/^docs\//, '').replace(/(^|\/)README\.md$/, '$1index.md');
}

/** The file that a page shows. Undefined for generated pages. */
export function sourceOf(page: string): string | undefined {
  return sourceOfPage.get(page);
}

/** Copies the pages, and the pictures beside them, to where VitePress reads them. */
export function copyPages(): void {
  rmSync(pagesFolder, { recursive: true, force: true });
  for (const [source, page] of pageOfSource) copy(source, page);
  for (const picture of globSync('docs/**/*.{png,svg}', { cwd: repositoryRoot })) {
    const source = picture.replaceAll('\\', '/');
    copy(source, source.replace(/^docs\//, ''));
  }
}

function copy(source: string, target: string): void {
  const path = join(pagesFolder, target);
  mkdirSync(dirname(path), { recursive: true });
  cpSync(join(repositoryRoot, source), path);
}

/**
 * The target on the site of a link that is relative to a file of the repository, or that leads to such a file on GitHub. Broken
 * links stay unchanged: VitePress refuses them.
 */
export function linkOnSite(link: string, page: string): string {
  const source = sourceOf(page);
  const onGithub = `${REPOSITORY_URL}/blob/main/`;
  const isOnGithub = link.startsWith(onGithub);
  if (source === undefined || link.startsWith('#') || (!isOnGithub && /^[a-z]+:/i.test(link))) return link;
  const [path = '', fragment] = (isOnGithub ? link.slice(onGithub.length) : link).split('#');
  const target = posix.join(isOnGithub ? '.' : dirname(source), path).replace(/\/$/, '');
  const shown = pageOfSource.get(target) ?? pageOfSource.get(`${target}/README.md`);
  const anchor = fragment === undefined ? '' : `#${fragment}`;
  if (shown !== undefined) return `/${shown.replace(/(^|\/)index\.md$/, '$1')}${anchor}`;
  const file = join(repositoryRoot, target);
  if (!existsSync(file)) return link;
  return `${REPOSITORY_URL}/${statSync(file).isDirectory() ? 'tree' : 'blob'}/main/${target}${anchor}`;
}

/** The id of a heading, as GitHub makes it: pages are read there, too. */
export function headingId(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-');
}

export function titleOf(source: string): string {
  const [, title = source] = /^# (.*)$/m.exec(readFileSync(join(repositoryRoot, source), 'utf8')) ?? [];
  return title.replaceAll('`', '');
}
