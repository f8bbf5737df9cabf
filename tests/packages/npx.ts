/** The command without installing it: `npx @litestream/cli`. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { roundTrip } from './round-trip.ts';
import type { Workshop } from './workshop.ts';

export async function npx(workshop: Workshop): Promise<string> {
  const folder = await workshop.folder('npx');
  const place = { folder, env: await workshop.freshCache() };
  const litestream = (...args: string[]): ReturnType<Workshop['run']> =>
    workshop.run('npx', ['@litestream/cli', ...args], place);
  const version = workshop.packages.find(({ manifest }) => manifest.name === '@litestream/cli')?.manifest.version ?? '';
  assert.ok((await litestream('version')).stdout.includes(version));
  assert.match((await litestream('-h')).output, /^\treplicate .*^\trestore /ms);
  const url = pathToFileURL(join(folder, 'replica')).href;
  await roundTrip({ folder, litestream, from: ['app.db', url], to: [url] });
  return 'version, help, a database replicated and restored';
}
