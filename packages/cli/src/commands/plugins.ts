import { fileURLToPath } from 'node:url';

import type { PluginListing } from '@litestream/core';
import { goJsonIndented } from '../control/go-json.ts';
import { describeError } from '../util/describe-error.ts';
import { UsageError } from '../util/usage-error.ts';
import { flag } from '../flags/kinds.ts';
import { formatTable } from '../text/table.ts';
import { defineCommand } from './shared/command.ts';
import type { Command } from './shared/command.ts';
import { configFlags, readConfig } from './shared/config-flags.ts';

const flags = { ...configFlags, json: { kind: flag(), help: 'Prints JSON in place of a table.' } };

export const command: Command = defineCommand({
  name: 'plugins',
  help: {
    about:
      'Lists the storage clients that litestream finds: those installed beside litestream or the config file, and those that -plugin or the config names. Exits with 1 if a named client cannot be used.',
    usage: ['plugins [arguments]'],
    examples: [{ about: 'Which backends can be used here?', line: 'plugins' }],
  },
  flags,
  async run({ values, args, given }, { terminal }) {
    if (args.length > 0) throw new UsageError('too many arguments', 'litestream plugins');
    const { openRegistry } = await import('../databases/replicas.ts');
    const { isLitestreamError } = await import('@litestream/core');
    const config = given.has('config')
      ? await readConfig(values, terminal)
      : { plugins: values.plugin, path: undefined };
    const registry = await openRegistry({ ...config, plugins: [] });
    // An unusable client must not hide the others. Its reason is printed.
    const unusable: PluginListing[] = [];
    for (const plugin of config.plugins) {
      try {
        await registry.load(plugin);
      } catch (error) {
        if (!isLitestreamError(error)) throw error;
        unusable.push({ name: plugin, types: [], schemes: [], error });
      }
    }
    const named = new Set(config.plugins);
    const installed = (await registry.list()).filter((each) => each.error === undefined || !named.has(each.name));
    const rows = [...installed, ...unusable].map(({ name, version, url, types, schemes, error }) => ({
      package: name,
      version: version ?? null,
      types,
      schemes,
      // `file` is built in and has no path.
      path: url === undefined ? null : fileURLToPath(url),
      error: error === undefined ? null : describeError(error),
    }));
    const exitCode = unusable.length === 0 ? 0 : 1;
    if (values.json) {
      terminal.out(goJsonIndented(rows));
      return exitCode;
    }
    const cells = rows.map((row) => [
      row.package,
      row.version ?? '-',
      row.types.join(',') || '-',
      row.schemes.map((scheme) => `${scheme}://`).join(' ') || '-',
      row.error ?? 'ok',
      row.path ?? '-',
    ]);
    terminal.out(formatTable([['package', 'version', 'types', 'urls', 'status', 'where'], ...cells]));
    return exitCode;
  },
});
