/** From a type or a URL to a client, and each way in which that can fail. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { definePlugin } from '../src/plugin/plugin.ts';
import type { LitestreamPlugin } from '../src/plugin/plugin.ts';
import { PluginRegistry } from '../src/plugin/registry.ts';
import { MemoryClient } from '../src/testing/memory-client.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'litestream-plugins-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const configs: unknown[] = [];
function memory(name: string, schemes: readonly string[]): LitestreamPlugin {
  return definePlugin<unknown>({
    name,
    apiVersion: 1,
    schemes,
    types: schemes,
    configSchema: { parse: (config) => config },
    create: (config) => {
      configs.push(config);
      return new MemoryClient();
    },
  });
}

/** Puts a package beside the config. */
function install(name: string, code: string): void {
  const path = join(folder, 'node_modules', name);
  mkdirSync(path, { recursive: true });
  const manifest = { name, version: '3.2.1', type: 'module', exports: { '.': { import: './main.js' } } };
  writeFileSync(join(path, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(path, 'main.js'), code);
}

const plugin = (fields: string): string =>
  `export default { apiVersion: 1, configSchema: { parse: (c) => c }, create() { throw new Error('unused'); }, ${fields} };`;

describe('plugin registry', () => {
  it('answers to file without any plugin', async () => {
    const registry = new PluginRegistry({ folder });
    for (const spec of [{ url: 'file:///tmp/x' }, { url: 'replica' }, { settings: { path: 'replica' } }]) {
      const client = await registry.createClient(spec);
      expect(client.type).toBe('file');
      await client[Symbol.asyncDispose]();
    }
  });

  it('merges what a URL says with the settings beside it, which win', async () => {
    const registry = new PluginRegistry({ folder, plugins: [memory('one', ['mem'])] });
    await registry.createClient({ url: 'mem://box/a/b?region=here&path2=x', settings: { region: 'there' } });
    expect(configs.at(-1)).toEqual({ bucket: 'box', path: 'a/b', region: 'there', path2: 'x' });
  });

  it('names the package to install for a type nobody brings', async () => {
    const registry = new PluginRegistry({ folder });
    await expect(registry.createClient({ url: 'moon://crater' })).rejects.toMatchObject({
      code: 'PLUGIN_MISSING',
      hint: 'Run: npm i @litestream/client-moon',
    });
    await expect(new PluginRegistry({ folder, discover: false }).plugin('gs')).rejects.toMatchObject({
      code: 'PLUGIN_MISSING',
      hint: 'Run: npm i @litestream/client-gcs',
    });
  });

  it('finds a package beside the config, and a path', async () => {
    install('@litestream/client-moon', plugin(`name: 'moon', schemes: ['moon'], types: ['moon']`));
    const registry = new PluginRegistry({ folder });
    expect((await registry.plugin('moon')).name).toBe('moon');
    writeFileSync(join(folder, 'mine.mjs'), plugin(`name: 'mine', schemes: ['mine'], types: []`));
    expect((await registry.load('./mine.mjs')).name).toBe('mine');
    expect((await registry.plugin('mine')).name).toBe('mine');
  });

  it('tells a plugin whose SDK is missing from one that is broken, and both from one that is too new', async () => {
    install('@litestream/client-a', `import 'an-sdk-nobody-has';\n${plugin(`name: 'a', schemes: ['a'], types: []`)}`);
    install('@litestream/client-b', `throw new Error('no');`);
    install(
      '@litestream/client-c',
      plugin(`name: 'c', schemes: ['c'], types: []`).replace('apiVersion: 1', 'apiVersion: 2'),
    );
    install('@litestream/client-d', `export const nothing = 1;`);
    install('@litestream/client-e', plugin(`name: 'e', schemes: ['other'], types: []`));
    const registry = new PluginRegistry({ folder });
    await expect(registry.plugin('a')).rejects.toMatchObject({
      code: 'PLUGIN_SDK_MISSING',
      hint: 'Run: npm i an-sdk-nobody-has',
    });
    await expect(registry.plugin('b')).rejects.toMatchObject({ code: 'PLUGIN_INVALID' });
    await expect(registry.plugin('c')).rejects.toMatchObject({ code: 'PLUGIN_INCOMPATIBLE' });
    await expect(registry.plugin('d')).rejects.toMatchObject({ code: 'PLUGIN_INVALID' });
    await expect(registry.plugin('e')).rejects.toMatchObject({ code: 'PLUGIN_INVALID' });
  });

  it('refuses two plugins for one name, naming both, and takes the same one twice', () => {
    const registry = new PluginRegistry({ folder, plugins: [memory('one', ['mem'])] });
    registry.register(memory('one', ['mem']));
    expect(() => registry.register(memory('two', ['mem']))).toThrow(/one and two both claim mem/);
    expect(() => registry.register(memory('two', ['file']))).toThrow(/@litestream\/core and two both claim file/);
  });
});
