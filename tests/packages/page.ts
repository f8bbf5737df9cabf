/** Writes docs/reports/installed-packages.md from a run. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../support/repository.ts';

export interface Results {
  /** Node's versions, and the servers each went through. */
  readonly nodes: ReadonlyMap<string, readonly string[]>;
  /** What else a user does, and what came of it. */
  readonly steps: ReadonlyMap<string, string>;
}

export async function writePage({ nodes, steps }: Results): Promise<void> {
  const versions = [...nodes.keys()];
  const servers = [...new Set([...nodes.values()].flat())];
  const restored = servers.map((server) =>
    [server].concat(versions.map((version) => (nodes.get(version)?.includes(server) === true ? 'restored' : '–'))),
  );
  const page = `# Installed packages

Written by \`npm run test:packages\`. It packs every package with \`npm pack\`, offers the tarballs on a registry on loopback, and
installs them outside the repository. A step that fails stops it, and nothing is written: what stands here passed.

All packages are installed into an empty project, and with each version of Node a database is replicated twice and restored
through the command, with the server in its \`litestream.yml\`; every row is compared. "Test server" and "model" are
those of \`npm test\`, which runs on Azurite as well; the others are [real ones](backends.md), as far as the machine of the run had them.

${table(['backend: server', ...versions.map((version) => `Node ${version}`)], restored)}

${table(
  ['what a user does', 'what came of it'],
  [...steps].map(([name, text]) => [name, text]),
)}
`;
  await writeFile(join(repositoryRoot, 'docs', 'reports', 'installed-packages.md'), page);
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  return [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
