import { resolve } from 'node:path';
import { UsageError } from '../util/usage-error.ts';
import { defineCommand } from './shared/command.ts';
import type { Command } from './shared/command.ts';
import { configFlags, readConfig } from './shared/config-flags.ts';

const flags = { config: configFlags.config, 'no-expand-env': configFlags['no-expand-env'] };

export const command: Command = defineCommand({
  name: 'mcp',
  help: {
    about:
      'Serves the Model Context Protocol on standard input and output, to an assistant that starts this command. Its tools see only the databases of the config.',
    usage: ['mcp [arguments]'],
    examples: [
      { about: 'With the default config.', line: 'mcp' },
      { about: 'With another config.', line: 'mcp -config /path/to/litestream.yml' },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    if (args.length > 0) throw new UsageError('too many arguments', 'litestream mcp -config PATH');
    const read = { ...values, plugin: [] };
    const config = await readConfig(read, terminal);
    const { serveStdio } = await import('../mcp/stdio.ts');
    const { loadConfig } = await import('../config/load.ts');
    const configPath = resolve(config.path ?? '');
    const noExpandEnv = values['no-expand-env'];
    const options = {
      configPath,
      noExpandEnv,
      outputDir: config.mcpOutputDir,
      // The config may change while the assistant runs.
      databases: () => loadConfig(configPath, { expandEnv: !noExpandEnv }).config.databases,
    };
    await serveStdio(options, terminal);
    return 0;
  },
});
