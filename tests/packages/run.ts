/**
 * `npm run test:packages`: installs what `npm pack` makes of every package into empty projects, and uses it as a user
 * would. Nothing of it sees this repository. Without arguments it runs all and writes docs/reports/installed-packages.md; arguments
 * choose steps by a part of their names: `npm run test:packages -- example`. `--quick`, which CI runs, takes the oldest Node,
 * a folder and one server, bundles an application, and writes nothing.
 */
import { bundlers, next } from './bundlers.ts';
import { deploy } from './deploy.ts';
import { globalCommand } from './global-command.ts';
import { npx } from './npx.ts';
import { onNode } from './on-node.ts';
import { writePage } from './page.ts';
import { ruleBreaks } from './rules.ts';
import { s3, servers } from './servers.ts';
import { thirdParty } from './third-party.ts';
import { Workshop } from './workshop.ts';
import { writeAClient } from './write-a-client.ts';

/** The oldest that packages declare, and the newest of what comes after. */
const OLDEST = '22.18.0';
const NODE_VERSIONS = [OLDEST, '24.21.0', '26.10.0'];

const STEPS: Readonly<Record<string, (workshop: Workshop) => Promise<string>>> = {
  'builds the third-party example, runs its conformance and replicates with it': thirdParty,
  'follows write-a-client.md from nothing to a client that is used': writeAClient,
  'bundles an application': bundlers,
  'builds and runs an application of Next': next,
  'installs the command globally, without a client': globalCommand,
  'runs npx @litestream/cli': npx,
  'deploys with the files of deploy/': deploy,
};

const startMs = performance.now();
const quick = process.argv.includes('--quick');
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const chosen = (name: string): boolean => wanted.length === 0 || wanted.some((part) => name.includes(part));

await using workshop = await Workshop.open();
const breaks = ruleBreaks(workshop.packages);
if (breaks.length > 0) throw new Error(breaks.join('\n'));

if (quick) {
  const names = ['@litestream/cli', '@litestream/core', '@litestream/client-s3'];
  await timed(`Node ${OLDEST}`, () => onNode(workshop, OLDEST, names, [s3]));
  await timed('bundles an application', () => bundlers(workshop));
} else {
  const nodes = new Map<string, readonly string[]>();
  const services = await servers();
  for (const version of NODE_VERSIONS) {
    const name = `Node ${version}`;
    if (!chosen(name)) continue;
    nodes.set(version, await timed(name, () => onNode(workshop, version, workshop.names, services)));
  }
  const steps = new Map<string, string>();
  for (const [name, run] of Object.entries(STEPS)) {
    if (chosen(name)) steps.set(name, await timed(name, () => run(workshop)));
  }
  if (wanted.length === 0) await writePage({ nodes, steps });
}
console.log(`All in ${((performance.now() - startMs) / 1000).toFixed(0)} s`);

async function timed<T extends string | readonly string[]>(name: string, work: () => Promise<T>): Promise<T> {
  const fromMs = performance.now();
  const result = await work();
  const text = typeof result === 'string' ? result : result.join(', ');
  console.log(`ok: ${name}: ${text} (${((performance.now() - fromMs) / 1000).toFixed(1)} s)`);
  return result;
}
