import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * The file that this code runs from: a module of this package, or the program that a bundler made of an application. It
 * exists, unless the program was given as text.
 */
export function ownFile(): string {
  // Bundlers replace it: by nothing, or by the place of this module on the machine that made the bundle.
  const url: string | undefined = import.meta.url;
  const path = url !== undefined && url.startsWith('file:') ? fileURLToPath(url) : undefined;
  return path !== undefined && existsSync(path) ? path : (process.argv[1] ?? process.execPath);
}
