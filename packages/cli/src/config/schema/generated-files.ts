/** Files that are generated from the config's schema and committed, so that editors and readers find them. */
import { readFileSync } from 'node:fs';
import { configJsonSchema } from './json-schema.ts';
import { configReference } from './reference.ts';

const MARK = '<!-- made from packages/cli/src/config/schema/schema.ts by `npm run docs`: change it there -->';

export interface GeneratedFile {
  readonly url: URL;
  readonly content: string;
}

/** @param packageUrl Folder of the CLI package, in its repository. */
export function generatedFiles(packageUrl: URL): GeneratedFile[] {
  const page = new URL('../../docs/reference/configuration.md', packageUrl);
  const [introduction = ''] = readFileSync(page, 'utf8').split(MARK);
  return [
    {
      url: new URL('schema/litestream.schema.json', packageUrl),
      content: `${JSON.stringify(configJsonSchema(), undefined, 2)}\n`,
    },
    { url: page, content: `${introduction}${MARK}\n\n${configReference()}` },
  ];
}
