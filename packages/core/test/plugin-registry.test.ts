/** From a type or a URL to a client, and each way in which that can fail. */
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { inspect, promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { definePlugin } from '../src/plugins/plugin.ts';
import type { LitestreamPlugin } from '../src/plugins/plugin.ts';
import { PluginRegistry } from '../src/plugins/registry.ts';
import { MemoryClient } from '../src/testing/memory-client.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'litestream-plugins-'));
});
afterEach(() => {
  removeFolder(folder, { force: true });
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

  it.each([
    ['abs', 'abs'],
    ['gs', 'gcs'],
    ['gcs', 'gcs'],
    ['nats', 'nats'],
    ['oss', 'oss'],
    ['s3', 's3'],
    ['sftp', 'sftp'],
    ['webdav', 'webdav'],
    ['webdavs', 'webdav'],
  ])('names the package to install for %s', async (type, packageName) => {
    await expect(new PluginRegistry({ folder, discover: false }).plugin(type)).rejects.toMatchObject({
      code: 'PLUGIN_MISSING',
      message: `the client for replicas of type ${type} is not installed`,
      hint: `Run: npm i @litestream/client-${packageName}`,
    });
  });

  it('sends nobody to a package that does not exist: it lists what is known, and asks what was meant', async () => {
    const registry = new PluginRegistry({ folder, plugins: [memory('one', ['mem'])] });
    const unknown = await registry.createClient({ url: 'moon://crater' }).catch((caught: unknown) => caught);
    expect(unknown).toMatchObject({
      code: 'PLUGIN_MISSING',
      message: 'no known package handles replicas of type moon',
      hint:
        'Known types are abs, file, gcs, gs, mem, nats, oss, s3, sftp, webdav and webdavs. Name a third-party client ' +
        'under plugins: in the config, with -plugin, or in the plugins of new Litestream({ plugins }).',
    });
    for (const [written, meant] of [
      ['sftpp', 'sftp'],
      ['S3', 's3'],
      ['wedbav', 'webdav'],
      ['men', 'mem'],
    ] as const) {
      await expect(registry.plugin(written)).rejects.toMatchObject({
        hint: expect.stringMatching(new RegExp(`^Did you mean ${meant}\\? Known types are `)),
      });
    }
  });

  it('says of a client from elsewhere that is installed how it is used', async () => {
    install('litestream-client-moon', plugin(`name: 'litestream-client-moon', schemes: ['moon'], types: ['moon']`));
    await expect(new PluginRegistry({ folder }).plugin('moon')).rejects.toMatchObject({
      code: 'PLUGIN_MISSING',
      hint: expect.stringMatching(/^litestream-client-moon is installed, but must be named: under plugins: /),
    });
  });

  it('tells a plugin that is not installed from a path that is not there and a package that was not built', async () => {
    const registry = new PluginRegistry({ folder });
    await expect(registry.load('litestream-client-moon')).rejects.toMatchObject({
      code: 'PLUGIN_MISSING',
      message: 'plugin litestream-client-moon is not installed',
      hint: 'Run: npm i litestream-client-moon',
    });
    for (const path of ['./moon', join(folder, 'moon')]) {
      await expect(registry.load(path)).rejects.toMatchObject({
        code: 'PLUGIN_MISSING',
        message: `there is no plugin at ${join(folder, 'moon')}`,
      });
    }
    install('litestream-client-torn', plugin(`name: 'torn', schemes: ['torn'], types: []`));
    rmSync(join(folder, 'node_modules', 'litestream-client-torn', 'main.js'));
    const place = join(folder, 'node_modules', 'litestream-client-torn');
    for (const name of ['litestream-client-torn', place]) {
      await expect(registry.load(name)).rejects.toMatchObject({
        code: 'PLUGIN_INVALID',
        message: expect.stringContaining(`its main file ${join(place, 'main.js')} is missing`),
        hint: expect.stringContaining('npm run build'),
      });
    }
  });

  it('finds a package that is named beside the config, and a path', async () => {
    install('@litestream/client-moon', plugin(`name: 'moon', schemes: ['moon'], types: ['moon']`));
    const registry = new PluginRegistry({ folder });
    expect((await registry.load('@litestream/client-moon')).name).toBe('moon');
    expect((await registry.plugin('moon')).name).toBe('moon');
    writeFileSync(join(folder, 'mine.mjs'), plugin(`name: 'mine', schemes: ['mine'], types: []`));
    expect((await registry.load('./mine.mjs')).name).toBe('mine');
    expect((await registry.plugin('mine')).name).toBe('mine');
  });

  it.each(['@litestream/client-moon', 'litestream-client-moon'])(
    'makes no package name from a scheme: %s has to be named',
    async (name) => {
      const mark = join(folder, 'it-ran');
      install(name, `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(mark)}, '');`);
      const registry = new PluginRegistry({ folder });
      await expect(registry.createClient({ url: 'moon://crater' })).rejects.toMatchObject({
        code: 'PLUGIN_MISSING',
        hint: expect.stringContaining(`${name} is installed, but must be named`),
      });
      expect(existsSync(mark)).toBe(false);
    },
  );

  it('loads the client of our own installation, not one of the same name beside the config', async () => {
    install('@litestream/client-s3', `throw new Error('planted');`);
    expect((await new PluginRegistry({ folder }).plugin('s3')).name).toBe('@litestream/client-s3');
  });

  it.skipIf(process.getuid?.() === undefined)(
    'looks into no node_modules that others can write to, and says so',
    async () => {
      install('litestream-client-moon', plugin(`name: 'moon', schemes: ['moon'], types: ['moon']`));
      const modules = join(folder, 'node_modules');
      const refuses = async (reason: string): Promise<void> => {
        await expect(new PluginRegistry({ folder }).load('litestream-client-moon')).rejects.toMatchObject({
          code: 'PLUGIN_MISSING',
          hint: `${join(modules, 'litestream-client-moon')} is not used: ${reason}. Name it by its path if you trust it: -plugin ${join(modules, 'litestream-client-moon')}`,
        });
      };
      for (const path of [modules, folder]) {
        chmodSync(path, 0o777);
        await refuses(`all users can write to ${path}`);
        chmodSync(path, 0o755);
      }
      if (process.getuid?.() === 0) {
        for (const path of [modules, folder]) {
          chownSync(path, 65534, 65534);
          await refuses(`${path} belongs to another user`);
          chownSync(path, 0, 0);
        }
      }
      const registry = new PluginRegistry({ folder });
      expect((await registry.load('litestream-client-moon')).name).toBe('moon');
    },
  );

  it.skipIf(process.getuid?.() !== 0)(
    'loads no package that another user could change: by a folder above, a group, a link, or one of its files',
    async () => {
      const base = folder;
      const app = join(base, 'above', 'app');
      mkdirSync(app, { recursive: true });
      folder = app;
      install('litestream-client-moon', plugin(`name: 'moon', schemes: ['moon'], types: ['moon']`));
      folder = base;
      const modules = join(app, 'node_modules');
      const own = join(modules, 'litestream-client-moon');
      const isLoaded = async (): Promise<string> => {
        try {
          return (await new PluginRegistry({ folder: app }).load('litestream-client-moon')).name;
        } catch (error) {
          return (error as { hint?: string }).hint ?? String(error);
        }
      };
      expect(await isLoaded()).toBe('moon');
      // No group has this number, and no user of this number owns the files.
      const group = 64_999;
      for (const path of [join(base, 'above'), app, modules, own, join(own, 'package.json'), join(own, 'main.js')]) {
        const { mode } = statSync(path);
        chmodSync(path, 0o777);
        expect(await isLoaded()).toContain(`is not used: all users can write to ${path}. Name it by its path`);
        chmodSync(path, 0o775);
        chownSync(path, 0, group);
        expect(await isLoaded()).toContain(`is not used: the group ${group} can write to ${path}. Name it by its path`);
        chownSync(path, 65534, 0);
        expect(await isLoaded()).toContain(`is not used: ${path} belongs to another user. Name it by its path`);
        chownSync(path, 0, 0);
        // The group of root is trusted.
        expect(await isLoaded()).toBe('moon');
        chmodSync(path, mode);
      }
      // A link is as safe as what it leads to, and as its own folder.
      const elsewhere = join(base, 'elsewhere');
      mkdirSync(elsewhere);
      renameSync(own, join(elsewhere, 'moon'));
      symlinkSync('../../../elsewhere/moon', own);
      expect(await isLoaded()).toBe('moon');
      chmodSync(elsewhere, 0o777);
      expect(await isLoaded()).toContain(`all users can write to ${elsewhere}`);
      chmodSync(elsewhere, 0o755);
      lchownSync(own, 65534, 65534);
      expect(await isLoaded()).toContain(`${own} belongs to another user`);
      lchownSync(own, 0, 0);
    },
  );

  it.skipIf(process.getuid?.() !== 0)('looks for a client past one that another user could change', async () => {
    const app = join(folder, 'app');
    for (const [at, name] of [
      [folder, 'above'],
      [app, 'beside'],
    ] as const) {
      const path = join(at, 'node_modules', 'litestream-client-moon');
      mkdirSync(path, { recursive: true });
      writeFileSync(join(path, 'index.js'), plugin(`name: '${name}', schemes: ['moon'], types: []`));
      writeFileSync(join(path, 'package.json'), '{"type":"module"}');
    }
    const manifest = join(app, 'node_modules', 'litestream-client-moon', 'package.json');
    chownSync(manifest, 65534, 65534);
    // It is not even read.
    writeFileSync(manifest, 'no json');
    expect((await new PluginRegistry({ folder: app }).load('litestream-client-moon')).name).toBe('above');
  });

  it('tells a plugin whose SDK is missing from one that is broken, and both from one that is too new', async () => {
    install('@litestream/client-a', `import 'an-sdk-nobody-has';\n${plugin(`name: 'a', schemes: ['a'], types: []`)}`);
    install('@litestream/client-b', `throw new Error('no');`);
    install(
      '@litestream/client-c',
      plugin(`name: 'c', schemes: ['c'], types: []`).replace('apiVersion: 1', 'apiVersion: 2'),
    );
    install('@litestream/client-d', `export const nothing = 1;`);
    const registry = new PluginRegistry({ folder });
    const load = (name: string): Promise<unknown> => registry.load(`@litestream/client-${name}`);
    await expect(load('a')).rejects.toMatchObject({
      code: 'PLUGIN_SDK_MISSING',
      hint: 'Run: npm i an-sdk-nobody-has',
    });
    await expect(load('b')).rejects.toMatchObject({ code: 'PLUGIN_INVALID' });
    await expect(load('c')).rejects.toMatchObject({ code: 'PLUGIN_INCOMPATIBLE' });
    await expect(load('d')).rejects.toMatchObject({ code: 'PLUGIN_INVALID' });
  });

  it('refuses two plugins for one name, naming both, and takes the same one twice', () => {
    const registry = new PluginRegistry({ folder, plugins: [memory('one', ['mem'])] });
    registry.register(memory('one', ['mem']));
    expect(() => registry.register(memory('two', ['mem']))).toThrow(/one and two both claim mem/);
    expect(() => registry.register(memory('two', ['file']))).toThrow(/@litestream\/core and two both claim file/);
  });

  it('shows what a schema refuses, field by field, and no secret', async () => {
    const strict: LitestreamPlugin = {
      ...memory('strict', ['strict']),
      configSchema: z.object({ bucket: z.string().min(3), size: z.number() }),
    };
    const error = await new PluginRegistry({ folder, plugins: [strict] })
      .createClient({ url: 'strict://user:hunter22@ab/x' })
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', backend: 'strict' });
    expect(String(error)).toMatch(/bucket: .*; size: /);
    expect(inspect(error, { depth: 10 })).not.toContain('hunter22');
  });

  it('tells a plugin that throws, without the secrets it was given', async () => {
    const throwing: LitestreamPlugin = {
      ...memory('throwing', ['boom']),
      create: () => {
        throw new Error('cannot use key sesame-open');
      },
    };
    const error = await new PluginRegistry({ folder, plugins: [throwing] })
      .createClient({ type: 'boom', settings: { 'secret-access-key': 'sesame-open' } })
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'PLUGIN_INVALID', object: 'throwing' });
    expect(inspect(error, { depth: 10 })).not.toContain('sesame');
  });

  it('cuts the secrets of a config out of the errors of its client', async () => {
    const talkative: LitestreamPlugin = {
      ...memory('talkative', ['talk']),
      create: () =>
        new MemoryClient({
          before: () => {
            throw new Error('key sesame-open was refused');
          },
        }),
    };
    const client = await new PluginRegistry({ folder, plugins: [talkative] }).createClient({
      type: 'talk',
      settings: { 'secret-access-key': 'sesame-open' },
    });
    const error = await client.deleteAll().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ backend: 'memory', operation: 'init' });
    expect(inspect(error, { depth: 10 })).not.toContain('sesame');
  });

  it('takes a CommonJS package, and a named export', async () => {
    const path = join(folder, 'old.cjs');
    writeFileSync(
      path,
      plugin(`name: 'old', schemes: ['old'], types: ['old']`).replace('export default', 'exports.default ='),
    );
    const registry = new PluginRegistry({ folder });
    expect((await registry.load('./old.cjs')).name).toBe('old');
    const named = plugin(`name: 'named', schemes: ['named'], types: ['named']`);
    writeFileSync(join(folder, 'named.mjs'), named.replace('export default', 'export const plugin ='));
    expect((await registry.load('./named.mjs')).name).toBe('named');
  });

  it('calls a plugin with a file missing broken: nothing could be installed', async () => {
    install('@litestream/client-f', `import './missing.js';`);
    await expect(new PluginRegistry({ folder }).load('@litestream/client-f')).rejects.toMatchObject({
      code: 'PLUGIN_INVALID',
    });
  });

  it('lists what is registered, what is installed and what was named', async () => {
    install('litestream-client-moon', plugin(`name: 'litestream-client-moon', schemes: ['moon'], types: ['moon']`));
    install('@litestream/client-torn', `throw new Error('no');`);
    const registry = new PluginRegistry({ folder, plugins: [memory('one', ['mem'])] });
    await registry.load('litestream-client-moon');
    const byName = new Map((await registry.list()).map((listing) => [listing.name, listing]));
    expect(byName.get('@litestream/core')).toMatchObject({ schemes: ['file'] });
    expect(byName.get('one')).toMatchObject({ types: ['mem'] });
    expect(byName.get('litestream-client-moon')).toMatchObject({ version: '3.2.1', schemes: ['moon'] });
    expect(byName.get('@litestream/client-s3')).toMatchObject({ schemes: ['s3'] });
    expect(byName.get('@litestream/client-s3')?.error).toBeUndefined();
    expect(byName.has('@litestream/client-torn')).toBe(false);
  });

  it('loads no storage client with core itself', async () => {
    const script = `await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)});
      const loaded = process.getBuiltinModule('module').createRequire('/')('node:module')._cache;
      console.log(JSON.stringify(Object.keys(loaded ?? {})));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    const loaded = JSON.parse(stdout) as string[];
    expect(loaded.some((path) => path.includes('tsyringe'))).toBe(true);
    expect(loaded.filter((path) => /aws-sdk|google-cloud|azure|ali-oss|ssh2|webdav|nats/.test(path))).toEqual([]);
  });
});
