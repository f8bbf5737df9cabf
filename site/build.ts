/** Builds the documentation site into `site/dist`: `npm run docs:site`. With `--preview`, then serves it on this machine. */
import { join } from 'node:path';
import { build, serve } from 'vitepress';
import { writeApiReference } from './api.ts';
import { checkLinks } from './links.ts';
import { copyPages, pagesFolder } from './pages.ts';

copyPages();
await writeApiReference(join(pagesFolder, 'api'));
await build(import.meta.dirname);
const { pages, links } = checkLinks(join(import.meta.dirname, 'dist'));
console.log(`site/dist: ${pages} pages, ${links} links inside the site, none of them broken`);
if (process.argv.includes('--preview')) await serve({ root: import.meta.dirname });
