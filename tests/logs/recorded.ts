/** What Go logged when it was last asked, kept for machines without it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { goVersion } from '../support/go-litestream.ts';
import { repositoryRoot } from '../support/repository.ts';
import type { Program } from '../support/programs.ts';
import type { Recorded } from './compare.ts';
import { lives } from './lives.ts';
import type { LogFormat } from './lives.ts';
import { shapesOf } from './shapes.ts';
import type { Shape } from './shapes.ts';

const path = join(repositoryRoot, 'tests', 'fixtures', `log-lines-go-${goVersion}.json`);

export function recordedShapes(): Recorded {
  if (!existsSync(path)) return { text: [], json: [] };
  return JSON.parse(readFileSync(path, 'utf8')) as Recorded;
}

export function recordShapes(recorded: Recorded): void {
  writeFileSync(path, `${JSON.stringify(recorded, undefined, 1)}\n`);
}

/** Lives all lives at once, since they mostly wait, and gives the shapes of all lines. Rejects where one says too little. */
export async function shapesOfLives(program: Program, folder: string, format: LogFormat): Promise<Shape[]> {
  const logs = await Promise.all(
    lives
      .filter(({ json }) => format === 'text' || json === true)
      .map(async (life, index) => {
        const own = join(folder, `${format}-${index}`);
        await mkdir(own);
        const log = await life.live({ program, folder: own, format });
        const said = new Set([...shapesOf(log, 'text'), ...shapesOf(log, 'json')].map(({ message }) => message));
        const missing = life.says.filter((message) => !said.has(message));
        if (missing.length > 0) throw new Error(`${life.name}: not said: ${missing.join(', ')}\n${log}`);
        return log;
      }),
  );
  return shapesOf(logs.join('\n'), format);
}
