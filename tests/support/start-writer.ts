import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Child } from './child.ts';
import { repositoryRoot } from './repository.ts';
import type { WriterOptions } from './writer.ts';

/** Starts `writer.ts` on a database. */
export function startWriter(options: WriterOptions): Child {
  const program = join(repositoryRoot, 'tests', 'support', 'writer.ts');
  return new Child('writer', process.execPath, ['--no-warnings', program, JSON.stringify(options)]);
}

/** Number of the last transaction in a progress log; 0 if there is none. A line cut off by a kill does not count. */
export async function lastProgress(path: string): Promise<number> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0;
    throw error;
  }
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).trimEnd();
  return Number(lines.slice(lines.lastIndexOf('\n') + 1));
}
