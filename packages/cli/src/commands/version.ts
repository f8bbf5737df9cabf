import { flag } from '../flags/kinds.ts';
import { sqliteVersion, version } from '../util/version.ts';
import { defineCommand } from './shared/command.ts';
import type { Command } from './shared/command.ts';

const flags = {
  verbose: { kind: flag(), help: 'Prints the versions of Node and SQLite and the platform too.' },
};

export const command: Command = defineCommand({
  name: 'version',
  help: { about: 'Prints the version.', usage: ['version [arguments]'] },
  flags,
  async run({ values }, { terminal }) {
    if (!values.verbose) {
      terminal.out(`${version()}\n`);
      return 0;
    }
    const facts = {
      Version: version(),
      Node: process.versions.node,
      SQLite: sqliteVersion(),
      'OS/Arch': `${process.platform}/${process.arch}`,
    };
    for (const [name, value] of Object.entries(facts)) terminal.out(`${`${name}:`.padEnd(12)} ${value}\n`);
    return 0;
  },
});
