// Compiles assembly/ to WebAssembly and writes it as base64 into src/generated/kernel-wasm.ts, so that every runtime and
// bundler loads it as an ordinary module. Skipped when neither the sources nor this script nor the compiler changed.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = `${root}src/generated/kernel-wasm.ts`;
const sources = readdirSync(`${root}assembly`).filter((name) => name.endsWith('.ts'));

const hash = createHash('sha256')
  .update(asc.version)
  .update(readFileSync(fileURLToPath(import.meta.url)));
for (const name of sources.sort()) hash.update(name).update(readFileSync(`${root}assembly/${name}`));
const stamp = `// Made by scripts/build-kernel.mjs from ${hash.digest('hex')}.`;

if (current() !== stamp) await build();

/** First line of the generated file, or nothing if it does not exist yet. */
function current() {
  try {
    return readFileSync(target, 'utf8').split('\n', 1)[0];
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function build() {
  let wasm;
  let messages = '';
  const { error } = await asc.main(
    [
      'assembly/index.ts',
      '--baseDir',
      root,
      '--outFile',
      'kernel.wasm',
      '-O3',
      '--converge',
      '--noAssert',
      '--runtime',
      'stub',
      '--enable',
      'simd',
      '--initialMemory',
      '2',
      '--use',
      'abort=',
    ],
    {
      stderr: {
        write(text) {
          messages += text;
        },
      },
      writeFile(name, contents) {
        if (name.endsWith('kernel.wasm')) wasm = contents;
      },
    },
  );
  if (error) throw new Error(`the kernel does not compile:\n${messages}`, { cause: error });
  mkdirSync(`${root}src/generated`, { recursive: true });
  const text = Buffer.from(wasm).toString('base64');
  // Written beside and renamed, so that a build running at the same time never reads half a file.
  writeFileSync(`${target}.${process.pid}`, `${stamp}\nexport const KERNEL_WASM_BASE64: string =\n  '${text}';\n`);
  renameSync(`${target}.${process.pid}`, target);
  console.log(`kernel: ${wasm.length} bytes of WebAssembly`);
}
