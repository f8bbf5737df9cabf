import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { commandPage, commandReference } from '../scripts/command-reference.ts';
import { defineCommand } from '../src/commands/shared/command.ts';
import { COMMANDS } from '../src/commands/table.ts';
import { flag, text } from '../src/flags/kinds.ts';

test('docs/reference/command-line.md is up to date', async () => {
  const { url, content } = await commandPage(new URL('../', import.meta.url));
  expect(readFileSync(url, 'utf8'), 'run `npm run docs`').toBe(content);
});

test('has every command and every flag', async () => {
  const page = await commandReference(COMMANDS);
  for (const { load, deprecatedFor } of COMMANDS) {
    if (deprecatedFor !== undefined) continue;
    const { command } = await load();
    const [, section = ''] = page.split(`\n## ${command.name}\n`);
    const [own = ''] = section.split('\n## ');
    const listed = [...own.matchAll(/^\| `-([a-z-]+)/gm)].map(([, name]) => name);
    expect({ name: command.name, listed }).toEqual({ name: command.name, listed: Object.keys(command.flags) });
  }
});

test('shows help text as plain text: no Markdown, no HTML', async () => {
  const command = defineCommand({
    name: 'show',
    help: { about: 'Shows <b>, a|b and *x* of the config.', usage: ['show [arguments] PATH'] },
    flags: {
      o: { kind: text('PATH'), help: 'Writes here, with -f too.\nDefaults to $HOME' },
      'dry-run': { kind: flag(), help: 'Reads only, at read-only speed.' },
    },
    run: async () => 0,
  });
  const page = await commandReference([{ name: 'show', summary: 'shows', load: async () => ({ command }) }]);
  expect(page).toContain(String.raw`Shows \<b\>, a\|b and \*x\* of the config.`);
  expect(page).toContain('| `-o PATH` | Writes here, with `-f` too. Defaults to `$HOME`. |');
  expect(page).toContain('| `-dry-run` | Reads only, at read-only speed. |');
});
