import { defineConfig } from 'vitepress';
import { headingId, linkOnSite, sourceOf } from '../pages.ts';
import { REPOSITORY_URL } from '../repository.ts';
import { apiSidebars, pagesSidebar } from '../sidebar.ts';

interface Environment {
  readonly relativePath: string;
}

/** A database, and an arrow from it. */
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#3451b2" stroke-width="3">
  <ellipse cx="12" cy="8" rx="9" ry="4"/><path d="M3 8v16c0 5 18 5 18 0V8M3 16c0 5 18 5 18 0M24 16h7m-3-4 4 4-4 4"/></svg>`;

export default defineConfig({
  title: 'Litestream for TypeScript',
  description: 'Continuously replicates SQLite to S3 and restores it to any point in time.',
  lang: 'en-US',
  base: process.env['SITE_BASE'] ?? '/',
  head: [['link', { rel: 'icon', href: `data:image/svg+xml,${encodeURIComponent(ICON)}` }]],
  srcDir: 'pages',
  outDir: 'dist',
  cacheDir: '../.cache/site',
  cleanUrls: true,
  // The sidebar of the API is long: keep it in one file, not in each page.
  metaChunk: true,
  vite: {
    build: { chunkSizeWarningLimit: 4096 },
    // Nothing outside this folder configures the site.
    envDir: import.meta.dirname,
  },
  markdown: {
    anchor: { slugify: headingId },
    config(markdown) {
      markdown.core.ruler.push('site', ({ tokens, env }) => {
        const { relativePath } = env as Environment;
        for (const block of tokens) {
          // Indented blocks on these pages are commands, and VitePress has no style for them.
          if (block.type === 'code_block') Object.assign(block, { type: 'fence', info: 'sh' });
        }
        for (const token of tokens.flatMap(({ children }) => children ?? [])) {
          const link = token.type === 'link_open' ? token.attrGet('href') : null;
          if (link !== null) token.attrSet('href', linkOnSite(link, relativePath));
        }
      });
      const fence = markdown.renderer.rules.fence;
      markdown.renderer.rules.fence = (tokens, index, ...rest) => {
        const token = tokens[index];
        if (token?.info.trim() !== 'mermaid') return fence?.(tokens, index, ...rest) ?? '';
        return `<Diagram source="${encodeURIComponent(token.content)}" />`;
      };
    },
  },
  transformPageData(page) {
    page.frontmatter['source'] = sourceOf(page.relativePath);
    if (page.relativePath.startsWith('api/')) page.frontmatter['editLink'] = false;
  },
  themeConfig: {
    nav: [
      { text: 'Get started', link: '/guides/getting-started' },
      { text: 'Reference', link: '/reference/command-line' },
      { text: 'Architecture', link: '/architecture/01-concepts' },
      { text: 'API', link: '/api/' },
    ],
    sidebar: { '/': pagesSidebar(), ...apiSidebars() },
    outline: { level: [2, 3] },
    search: {
      provider: 'local',
      // Guides come before the API pages that contain the same word.
      options: {
        miniSearch: { searchOptions: { boostDocument: (id: string) => (id.includes('/api/') ? 0.3 : 1) } },
      },
    },
    socialLinks: [{ icon: 'github', link: REPOSITORY_URL }],
    editLink: {
      // VitePress also runs this function in the browser: it must not use names from outside.
      pattern: ({ frontmatter }) =>
        `https://github.com/litestream-ts/litestream-ts/edit/main/${String(frontmatter['source'])}`,
      text: 'Edit this page',
    },
    footer: { message: 'Apache-2.0' },
  },
});
