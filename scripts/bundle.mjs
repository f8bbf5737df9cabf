#!/usr/bin/env node
/**
 * `node ../../scripts/bundle.mjs`, in the folder of a package that `tsc` has just built: joins the modules of `dist` into a few.
 *
 * Node spends about a millisecond of CPU time on each module that it loads, whatever is in it. What `exports` names keeps its
 * path; worker scripts move to `dist`, beside the module that starts them; what several of these use becomes a chunk. Each
 * worker script of core also becomes a text without imports, for applications that are bundled themselves.
 * Declarations stay as they are. See docs/decisions/0030-bundles.md and 0039-worker-texts.md.
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
const workers = compiled.filter((name) => name.endsWith('-worker.js'));
for (const name of workers) entries[`litestream-${basename(name, '.js')}`] = join(dist, name);
const textsPath = join(dist, 'own-files', 'worker-texts.js');
const texts = existsSync(textsPath) ? await textsOf(workers) : undefined;

const bundle = await rolldown({
  input: entries,
  platform: 'neutral',
  // Dependencies stay imports.
  external: /^[^./]/,
  // The compiler's maps lead on to the sources.
  plugins: [
    {
      name: 'source-maps',
      load: (path) =>
        path === textsPath
          ? { code: `export const WORKER_TEXTS = ${JSON.stringify(texts)};`, moduleSideEffects: false }
          : { code: readFileSync(path, 'utf8'), map: readFileSync(`${path}.map`, 'utf8') },
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
for (const file of output) {
  // A map of texts leads nowhere.
  if (file.fileName === 'chunk-worker-texts.js.map') continue;
  const isTexts = file.fileName === 'chunk-worker-texts.js';
  const code = isTexts ? file.code.replace(/\n\/\/# sourceMappingURL=.*/, '') : file.code;
  writeFileSync(join(dist, file.fileName), file.type === 'chunk' ? code : file.source);
}

/** Name of a worker → its script as one text of CommonJS that imports only modules of Node. */
async function textsOf(names) {
  const found = {};
  for (const name of names) {
    const own = await rolldown({ input: join(dist, name), platform: 'node', external: /^node:/, logLevel: 'warn' });
    const { output: outputs } = await own.generate({ format: 'cjs', minify: true, codeSplitting: false });
    await own.close();
    const [script, ...others] = outputs;
    if (others.length > 0) throw new Error(`${name} needs ${others.length} other files`);
    found[basename(name, '-worker.js')] = script.code;
  }
  return found;
}
