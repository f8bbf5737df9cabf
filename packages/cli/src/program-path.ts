/** In `src` itself, since the build moves what is in a folder below it: `bin` lies beside both `src` and `dist`. */
import { fileURLToPath } from 'node:url';

export const PROGRAM_PATH: string = fileURLToPath(new URL('../bin/litestream.js', import.meta.url));
