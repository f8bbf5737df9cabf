/** Pages link to what is there, name files that exist, and each page is on an index. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repositoryRoot } from '../support/repository.ts';

const ON_GITHUB = 'https://github.com/litestream-ts/litestream-ts/blob/main/';
const docs = filesOf('docs/**/*.md');
const pages = [...docs, ...filesOf('*.md'), ...filesOf('{packages,examples}/*/README.md'), ...filesOf('.github/*.md')];
/** Files of other programs and systems, and those that a reader makes. */
const OF_OTHERS: ReadonlySet<string> = new Set(['replicate.js', 'app.mjs', 'litestream.config.js']);

function filesOf(pattern: string): string[] {
  const paths = globSync(pattern, { cwd: repositoryRoot, exclude: ['**/node_modules/**'] });
  return paths.map((path) => path.replaceAll('\\', '/')).sort();
}

function read(path: string): string {
  return readFileSync(join(repositoryRoot, path), 'utf8');
}

/** Without what stands in code. */
function proseOf(page: string): string {
  return read(page)
    .replaceAll(/^```[^]*?^```/gm, '')
    .replaceAll(/^ {4}.*$/gm, '');
}

interface Link {
  readonly page: string;
  readonly link: string;
  /** From the root of the repository. */
  readonly path: string;
  readonly fragment: string | undefined;
}

function linksOf(page: string): Link[] {
  return [...proseOf(page).matchAll(/\]\((?<link>[^)\s]+)\)/g)].flatMap(({ groups }) => {
    const link = groups?.['link'] ?? '';
    const isOurs = link.startsWith(ON_GITHUB);
    if (!isOurs && /^[a-z]+:/.test(link)) return [];
    const [path = '', fragment] = (isOurs ? link.slice(ON_GITHUB.length) : link).split('#');
    const from = isOurs ? '.' : dirname(page);
    return [{ page, link, path: path === '' ? page : normalize(join(from, path)), fragment }];
  });
}

/** As GitHub makes them of headings. */
function fragmentsOf(page: string): Set<string> {
  const headings = [...proseOf(page).matchAll(/^#+ (?<text>.*)$/gm)];
  return new Set(
    headings.map(({ groups }) =>
      (groups?.['text'] ?? '')
        .toLowerCase()
        .replaceAll(/\]\([^)]*\)/g, '')
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(/\s/g, '-'),
    ),
  );
}

describe('links', () => {
  test.each(pages)('%s', (page) => {
    const broken = linksOf(page).filter(({ path, fragment }) => {
      if (!existsSync(join(repositoryRoot, path))) return true;
      return fragment !== undefined && path.endsWith('.md') && !fragmentsOf(path).has(fragment);
    });
    expect(broken.map(({ link }) => link)).toEqual([]);
  });

  test('are found', () => {
    expect(pages.flatMap(linksOf).length).toBeGreaterThan(150);
  });
});

describe('files in code spans', () => {
  const names = new Set(
    filesOf('{,packages/**/,tests/**/,scripts/,bench/**/,examples/**/}*.{ts,mjs,js}').map((path) => basename(path)),
  );

  test.each(pages)('%s', (page) => {
    const spans = [...read(page).matchAll(/`(?<span>[^`\s]+)`/g)].map(({ groups }) => groups?.['span'] ?? '');
    const missing = spans.filter((span) => {
      if (/[*<>{}$:…]/.test(span) || OF_OTHERS.has(span)) return false;
      if (/^(?:packages|tests|scripts|docs|examples|deploy|bench)\//.test(span)) {
        return !existsSync(join(repositoryRoot, span.replace(/#.*/, '')));
      }
      return /^[\w./-]*\w\.ts$/.test(span) && !names.has(basename(span));
    });
    expect(missing).toEqual([]);
  });
});

test('comments and programs name pages that exist', () => {
  const sources = filesOf('{packages,tests,scripts,bench,examples}/**/*.{ts,mjs,js}');
  const missing = sources
    .filter((path) => !/\/(?:dist|node_modules)\//.test(path))
    .flatMap((path) => {
      const named = [...read(path).matchAll(/\bdocs\/[\w./-]+\.(?:md|png)\b/g)].map(([name]) => name);
      return named.filter((name) => !existsSync(join(repositoryRoot, name))).map((name) => `${path}: ${name}`);
    });
  expect(missing).toEqual([]);
});

describe('indexes', () => {
  test('docs/README.md leads to each page but the decisions, which have an index of their own', () => {
    const listed = new Set(linksOf('docs/README.md').map(({ path }) => path));
    const others = docs.filter((page) => page !== 'docs/README.md' && !/decisions\/\d/.test(page));
    expect(others.filter((page) => !listed.has(page))).toEqual([]);
  });

  test('docs/decisions/README.md has number, title, date and status of each decision', () => {
    const rows = [
      ...read('docs/decisions/README.md').matchAll(/^\| (\d{4}) \| \[(.*)\]\((.*)\) \| (.*) \| (.*) \|$/gm),
    ];
    const listed = rows.map(([, number, title, file, date, status]) => ({ number, title, file, date, status }));
    const decisions = docs.filter((page) => /decisions\/\d/.test(page));
    const actual = decisions.map((page) => {
      const found = /^# (\d{4}) (.*)\n\nDate: (.*)\. Status: (.*)\.\n/.exec(read(page)) ?? [];
      const [, number, title, date, status] = found;
      return { number, title, file: basename(page), date, status };
    });
    expect(listed).toEqual(actual);
    for (const { number, file, date } of actual) {
      expect(file.startsWith(`${number ?? ''}-`), file).toBe(true);
      expect(date, file).toMatch(/^\d{4}-\d\d-\d\d$/);
    }
  });
});

// The style itself lists them; the other two quote names of tests.
const QUOTES = new Set(['docs/style.md', 'docs/reports/correctness.md', 'docs/reports/drop-in.md']);

test.each([...docs, 'README.md', 'CONTRIBUTING.md'].filter((page) => !QUOTES.has(page)))(
  '%s avoids the words that docs/style.md avoids',
  (page) => {
    const found = [...proseOf(page).matchAll(/\b(?:anew|nobody|somebody|mend(?:s|ed)?|upstream)\b(?!-)/gi)];
    expect(found.map(([word]) => word)).toEqual([]);
  },
);

test('each row of the map from question to file names code that its file has', () => {
  const map = read('docs/architecture/01-concepts.md').split('## From question to file')[1] ?? '';
  const rows = map.split('\n').filter((line) => line.startsWith('| ') && line.includes('.ts`'));
  expect(rows.length).toBeGreaterThan(20);
  const missing = rows.flatMap((row) => {
    // A path, then what it has, until the next path.
    const spans = [...(row.split(' | ')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
    let text = '';
    return spans.flatMap((span) => {
      if (span.endsWith('.ts')) {
        text = read(span.startsWith('packages/') ? span : `packages/core/src/${span}`);
        return [];
      }
      const name = span.split('.').at(-1) ?? '';
      return text.includes(name) ? [] : [`${span} in ${row}`];
    });
  });
  expect(missing).toEqual([]);
});
