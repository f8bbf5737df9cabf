/** The sidebars: one that follows `docs/README.md`, and one of the API. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import type { DefaultTheme } from 'vitepress';
import { linkOnSite, pageOfSource, pagesFolder, titleOf } from './pages.ts';
import { repositoryRoot } from './repository.ts';

type Item = DefaultTheme.SidebarItem;

/** Sections that are open at first. */
const OPEN: ReadonlySet<string> = new Set(['Guides', 'Reference']);

export function pagesSidebar(): Item[] {
  const index = readFileSync(join(repositoryRoot, 'docs', 'README.md'), 'utf8');
  const sections = index.split(/^## /m).slice(1).map(sectionOf);
  const decisions = sources(/^docs\/decisions\/\d/);
  const packages = sources(/^packages\//);
  return [
    ...sections,
    group('Decisions', [{ text: 'All decisions', link: '/decisions/' }, ...decisions]),
    group('Packages', packages),
    group('Project', [
      { text: 'Status', link: '/status' },
      { text: 'Known issues', link: '/known-issues' },
      { text: 'Security', link: '/security' },
      { text: 'Contributing', link: '/contributing' },
      { text: 'Style', link: '/style' },
      { text: 'All pages', link: '/pages' },
    ]),
  ];
}

/** A section of the index: its heading, and the links in the first column of its table. */
function sectionOf(section: string): Item {
  const lines = section.split('\n');
  const cells = lines.filter((line) => line.startsWith('| [')).map((line) => line.split(' | ')[0] ?? '');
  const links = cells.flatMap((cell) => Array.from(cell.matchAll(/\[([^\]]+)\]\(([^)]+)\)/g)));
  return group(lines[0] ?? '', links.map(itemOf));
}

function itemOf([, title = '', link = '']: readonly string[]): Item {
  return { text: title.charAt(0).toUpperCase() + title.slice(1), link: linkOnSite(link, 'pages.md') };
}

function group(text: string, items: readonly Item[]): Item {
  return { text, items: [...items], collapsed: !OPEN.has(text) };
}

function sources(pattern: RegExp): Item[] {
  const found = [...pageOfSource].filter(([source]) => pattern.test(source));
  return found.map(([source, page]) => ({ text: titleOf(source), link: `/${page}` }));
}

/** Sidebars by path: each page of the API lists the modules, and what its own module exports. */
export function apiSidebars(): Record<string, Item[]> {
  const root = join(pagesFolder, 'api');
  const modules = existsSync(root) ? modulesBelow(root, '@litestream') : [];
  const sidebar = (open?: string): Item[] => [
    { text: 'All modules', link: '/api/' },
    ...modules.map((name) => ({
      text: name.replace('@litestream/', ''),
      link: `/api/${name}/`,
      ...(name === open && { items: exportsOf(root, name) }),
    })),
  ];
  return Object.fromEntries([
    ['/api/', sidebar()],
    ...modules.map((name) => [`/api/${name}/`, sidebar(name)] as const),
  ]);
}

function modulesBelow(root: string, folder: string): string[] {
  const entries = readdirSync(join(root, folder), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return entries.flatMap((entry) => {
    const name = posix.join(folder, entry.name);
    return existsSync(join(root, name, 'index.md')) ? [name].concat(modulesBelow(root, name)) : [];
  });
}

/** Classes and functions. Their pages, and that of the module, lead to the types. */
function exportsOf(root: string, module: string): Item[] {
  const pages = ['classes', 'functions']
    .filter((kind) => existsSync(join(root, module, kind)))
    .flatMap((kind) => readdirSync(join(root, module, kind)).map((file) => posix.join(kind, file)));
  const items = pages.map((page) => ({ text: posix.basename(page, '.md'), link: `/api/${module}/${page}` }));
  return items.sort((one, other) => one.text.localeCompare(other.text));
}
