import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of this package. Its code runs from the sources in `src` and from the bundles in `dist`. */
export const PACKAGE_FOLDER: string = packageFolder();

/** The program that `bin` of the package names. */
export const PROGRAM_PATH: string = join(PACKAGE_FOLDER, 'bin', 'litestream.js');

function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    if (dirname(folder) === folder) throw new Error('the package has no package.json');
    folder = dirname(folder);
  }
  return folder;
}
