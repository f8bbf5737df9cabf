import { readFileSync } from 'node:fs';
import { defineCommand } from '@litestream/cli/kit';
import type { Command } from '@litestream/cli/kit';
import { refuseArguments } from './flags.ts';

export const command: Command = defineCommand({
  name: 'version',
  help: { about: 'Prints the version.', usage: ['version'] },
  flags: {},
  async run({ args }, { terminal }) {
    refuseArguments(args, 'version');
    const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    terminal.out(`litestream-test ${(manifest as { version: string }).version}\nnode: ${process.versions.node}\n`);
    return 0;
  },
});
