/** Directly in `src`, since the build moves the modules of its subfolders: `bin` lies beside both `src` and `dist`. */
import { fileURLToPath } from 'node:url';

export const PROGRAM_PATH: string = fileURLToPath(new URL('../bin/litestream.js', import.meta.url));
