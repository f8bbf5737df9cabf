/** Writes what is made from the config's schema: `npm run docs`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { generatedFiles } from '../src/config/schema/generated-files.ts';

for (const { url, content } of generatedFiles(new URL('../', import.meta.url))) {
  mkdirSync(new URL('./', url), { recursive: true });
  writeFileSync(url, content);
  console.log(`wrote ${url.pathname}`);
}
