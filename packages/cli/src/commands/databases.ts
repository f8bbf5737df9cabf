import { goJsonIndented } from '../control/go-json.ts';
import { flag } from '../flags/kinds.ts';
import { UsageError } from '../util/usage-error.ts';
import { formatTable } from '../text/table.ts';
import { defineCommand } from './shared/command.ts';
import type { Command } from './shared/command.ts';
import { configFlags, readConfig } from './shared/config-flags.ts';

const flags = {
  config: configFlags.config,
  json: { kind: flag(), help: 'Prints JSON in place of a table.' },
  'no-expand-env': configFlags['no-expand-env'],
  plugin: configFlags.plugin,
};

export const command: Command = defineCommand({
  name: 'databases',
  help: {
    about: 'Lists the databases of the config file, with the type of each replica.',
    usage: ['databases [arguments]'],
    examples: [
      { about: 'The databases of the default config.', line: 'databases' },
      { about: 'The databases of another config, as JSON.', line: 'databases -json -config /path/to/litestream.yml' },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    if (args.length > 0) throw new UsageError('too many arguments', 'litestream databases');
    const config = await readConfig(values, terminal);
    const { databasesOf } = await import('../databases/directory.ts');
    const { openRegistry, openReplicas } = await import('../databases/replicas.ts');
    const registry = await openRegistry(config);
    const rows: { path: string; replica: string }[] = [];
    for (const database of config.databases.flatMap((each) => databasesOf(each))) {
      await using replicas = await openReplicas(database.replicas, registry);
      for (const { client } of replicas.all) rows.push({ path: database.path, replica: client.type });
    }
    if (values.json) terminal.out(goJsonIndented(rows));
    else terminal.out(formatTable([['path', 'replica'], ...rows.map(({ path, replica }) => [path, replica])]));
    return 0;
  },
});
