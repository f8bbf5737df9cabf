import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * The file that this code runs from: a module of this package, or the bundle of an application. The file exists, unless Node
 * runs the program from a text.
 */
export function ownFile(): string {
  // Bundlers remove it, or replace it by the path of this module on the machine that made the bundle.
  const url: string | undefined = import.meta.url;
  const path = url !== undefined && url.startsWith('file:') ? fileURLToPath(url) : undefined;
  return path !== undefined && existsSync(path) ? path : (process.argv[1] ?? process.execPath);
}
