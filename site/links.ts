/** Checks the links that VitePress does not check: fragments, pictures and scripts. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Follows each link of the built site to another place in it.
 *
 * @returns how many pages there are, and how many links
 * @throws Error that lists the broken links
 */
export function checkLinks(folder: string): { readonly pages: number; readonly links: number } {
  const base = process.env['SITE_BASE'] ?? '/';
  const files = new Set(globSync('**/*.*', { cwd: folder }).map((path) => path.replaceAll('\\', '/')));
  const pages = [...files].filter((file) => file.endsWith('.html'));
  const text = new Map(pages.map((page) => [page, readFileSync(join(folder, page), 'utf8')]));
  const ids = new Map([...text].map(([page, html]) => [page, new Set(valuesOf(html, 'id'))]));
  const broken: string[] = [];
  let links = 0;
  for (const [page, html] of text) {
    for (const link of [...valuesOf(html, 'href'), ...valuesOf(html, 'src')]) {
      const url = new URL(link, `site:${base}${page}`);
      if (url.protocol !== 'site:') continue;
      links += 1;
      const target = decodeURI(url.pathname).slice(base.length);
      const file = [target, `${target}.html`, `${target}index.html`].find((path) => files.has(path));
      const fragment = decodeURIComponent(url.hash.slice(1));
      const isFound = file !== undefined && (fragment === '' || ids.get(file)?.has(fragment) === true);
      if (!isFound || !decodeURI(url.pathname).startsWith(base)) broken.push(`${page}: ${link}`);
    }
  }
  if (broken.length > 0) throw new Error(`broken links on the site:\n${broken.join('\n')}`);
  return { pages: pages.length, links };
}

function valuesOf(html: string, attribute: string): string[] {
  const found = html.matchAll(new RegExp(`\\s${attribute}="([^"]*)"`, 'g'));
  return [...found].map(([, value = '']) => value.replaceAll('&amp;', '&'));
}
