import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient } from './create-client.ts';
import type { CreatedClient } from './create-client.ts';

const USAGE = `Creates a repository for a Litestream storage client: source, proof of conformance, README and CI.

Usage:

	npm create @litestream/client NAME [FOLDER] [-- --type TYPE]

Arguments:

	NAME
	    redis, litestream-client-redis or @acme/litestream-client-redis.

	FOLDER
	    Folder of the repository. Defaults to the package's name, without a scope.

	--type TYPE
	    "type:" in configs and scheme of URLs. Defaults to the last part of NAME.

Example:

	npm create @litestream/client redis
`;

/** Runs `create-client ARGV…` and sets the exit code of this process. */
export function run(argv: readonly string[]): void {
  process.exitCode = exitCodeOf(argv);
}

function exitCodeOf(argv: readonly string[]): number {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...argv],
      options: { help: { type: 'boolean', short: 'h' }, type: { type: 'string' } },
      allowPositionals: true,
    });
  } catch (error) {
    return fail(error);
  }
  const { values, positionals } = parsed;
  const [name, folder, ...more] = positionals;
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (name === undefined || more.length > 0) {
    return fail(new Error(name === undefined ? 'the name of the client is missing' : 'too many arguments'));
  }
  try {
    process.stdout.write(nextSteps(createClient({ name, folder, type: values.type })));
    return 0;
  } catch (error) {
    return fail(error);
  }
}

function fail(error: unknown): number {
  console.error(`Error: ${error instanceof Error ? error.message : String(error)}`);
  console.error('Try: npm create @litestream/client redis');
  return 1;
}

function nextSteps({ packageName, path, type, files }: CreatedClient): string {
  const folder = relative('', path) || '.';
  return `Made ${packageName} in ${folder} (${files.length} files). It keeps replicas in a folder, and passes conformance.

	cd ${folder}
	npm install
	npm test

Then replace src/store.ts with calls of your service, until npm test passes again. Users write "type: ${type}" or ${type}://…
`;
}
