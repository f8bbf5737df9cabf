/** What runs in CI with rights of this repository, and how an example tells others to do it. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { repositoryRoot } from '../support/repository.ts';

interface Job {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly uses?: string;
  readonly steps?: readonly { readonly uses?: string }[];
}

interface Workflow {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const paths = ['.github/workflows/*.{yml,yaml}', '.github/actions/**/*.{yml,yaml}', 'deploy/github-actions.yml'];
const files = globSync(paths, { cwd: repositoryRoot }).sort();

/** Actions whose code may change under the same name. Those of this repository change with it. */
function movable({ jobs }: Workflow): string[] {
  const all = Object.values(jobs);
  const used = all.concat(all.flatMap(({ steps }) => steps ?? [])).flatMap(({ uses }) => uses ?? []);
  return used.filter((each) => !/^\.\/|@[0-9a-f]{40}$/.test(each));
}

test('names every action by the hash of its commit', () => {
  const found = movable(
    parse(`jobs: {
      a: { steps: [{ uses: 'actions/checkout@v4' }, { run: 'true' }, { uses: './own' }, { uses: 'x/y@0123456' }] },
      b: { uses: 'x/y/.github/workflows/z.yml@main' },
      c: { steps: [{ uses: 'x/y@34e114876b0b11c390a56381ad16ebd13914f8d5' }] } }`) as Workflow,
  );
  expect(found).toEqual(['x/y/.github/workflows/z.yml@main', 'actions/checkout@v4', 'x/y@0123456']);
  expect(files).toContain('.github/workflows/release.yml');
  for (const file of files) {
    const text = readFileSync(join(repositoryRoot, file), 'utf8');
    expect({ file, movable: movable(parse(text) as Workflow) }).toEqual({ file, movable: [] });
  }
});

test('publishes without a token, in a job that runs no action of others', () => {
  const publishing: string[] = [];
  for (const file of files.filter((name) => name.startsWith('.github/'))) {
    const text = readFileSync(join(repositoryRoot, file), 'utf8');
    // The token of the run itself is `github.token`, and ends with the job.
    expect(text, file).not.toMatch(/secrets\.|NODE_AUTH_TOKEN|NPM_TOKEN/);
    const { permissions = { all: 'write' }, jobs } = parse(text) as Workflow;
    expect(Object.values(permissions), file).not.toContain('write');
    for (const [name, job] of Object.entries(jobs)) {
      if (job.permissions?.['id-token'] !== 'write') continue;
      publishing.push(`${file} ${name}`);
      const others = (job.steps ?? []).flatMap(({ uses = 'actions/' }) => (uses.startsWith('actions/') ? [] : [uses]));
      expect({ file, name, others }).toEqual({ file, name, others: [] });
    }
  }
  expect(publishing).toEqual(['.github/workflows/docs.yml publish', '.github/workflows/release.yml publish']);
});
