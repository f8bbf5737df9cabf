#!/usr/bin/env node
/**
 * `node ../../scripts/bundle.mjs`, in the folder of a package that `tsc` has just built: joins the modules of `dist` into a few.
 *
 * Node spends about a millisecond of CPU time on each module that it loads, whatever is in it. What `exports` names keeps its
 * path; worker scripts move to `dist`, beside the module that starts them; what several of these use becomes a chunk.
 * Declarations stay as they are. See docs/decisions/0030-bundles.md.
 */
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { rolldown } from 'rolldown';

const dist = resolve('dist');
const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const found = readdirSync(dist, { recursive: true }).filter((name) => /\.js(\.map)?$/.test(name));
// An earlier run left its own outputs.
const compiled = found.filter((name) => existsSync(join('src', name.replace(/\.js$/, '.ts'))));

/** Name of an output without its extension → module. */
const entries = {};
for (const target of Object.values(manifest.exports)) {
  if (typeof target === 'string') continue;
  entries[target.default.slice('./dist/'.length, -'.js'.length)] = resolve(target.default);
}
// A program in `bin` imports it.
if (compiled.includes('run.js')) entries['run'] = join(dist, 'run.js');
for (const name of compiled) {
  if (name.endsWith('-worker.js')) entries[basename(name, '.js')] = join(dist, name);
}

const bundle = await rolldown({
  input: entries,
  platform: 'neutral',
  // Dependencies stay imports.
  external: /^[^./]/,
  // The compiler's maps lead on to the sources.
  plugins: [
    {
      name: 'source-maps',
      load: (path) => ({ code: readFileSync(path, 'utf8'), map: readFileSync(`${path}.map`, 'utf8') }),
    },
  ],
});
const { output } = await bundle.generate({ format: 'esm', sourcemap: true, chunkFileNames: 'chunk-[name].js' });
await bundle.close();
for (const { fileName, code = '' } of output) {
  if (dirname(fileName) === '.' || !code.includes('import.meta.url')) continue;
  throw new Error(`${fileName} looks for files beside itself, and workers are in dist`);
}

for (const name of found) rmSync(join(dist, name));
for (const file of output) writeFileSync(join(dist, file.fileName), file.type === 'chunk' ? file.code : file.source);
