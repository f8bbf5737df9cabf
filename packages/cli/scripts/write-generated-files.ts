/** Writes what is made from the config's schema and from the commands: `npm run docs`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { generatedFiles } from '../src/config/schema/generated-files.ts';
import { commandPage } from './command-reference.ts';

const packageUrl = new URL('../', import.meta.url);
for (const { url, content } of [...generatedFiles(packageUrl), await commandPage(packageUrl)]) {
  mkdirSync(new URL('./', url), { recursive: true });
  writeFileSync(url, content);
  console.log(`wrote ${url.pathname}`);
}
