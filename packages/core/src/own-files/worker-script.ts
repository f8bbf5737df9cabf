/**
 * Finds the scripts of worker threads and child processes. They are files of this package. If an application was bundled, there are
 * no such files: then their text, which is a part of the bundle, is run.
 */
import { existsSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { WorkerOptions } from 'node:worker_threads';

/** By name: where the script is below `src`, without its extension. */
const SCRIPTS = {
  checkpoint: 'sqlite/checkpoint/checkpoint-worker',
  integrity: 'restore/check/integrity-worker',
  'memory-watch': 'restore/check/memory-watch-worker',
  replaced: 'restore/write/replaced-worker',
  restore: 'restore/decode/restore-worker',
  stream: 'local-ltx/writer/stream-worker',
  write: 'local-ltx/writer/write-worker',
} as const;

export type WorkerName = keyof typeof SCRIPTS;

/** A module at a path, or the text of a script of CommonJS that needs no other file. */
export type WorkerScript = { readonly path: string } | { readonly text: string };

export async function workerScript(name: WorkerName): Promise<WorkerScript> {
  const path = filesOf(name).find((each) => existsSync(each));
  if (path !== undefined) return { path };
  const { WORKER_TEXTS } = await import('./worker-texts.ts');
  const text = WORKER_TEXTS[name];
  if (text === undefined) throw new Error(`the script of a worker is missing: ${basename(SCRIPTS[name])}`);
  return { text };
}

export function startWorker(script: WorkerScript, options: WorkerOptions): Worker {
  return 'path' in script ? new Worker(script.path, options) : new Worker(script.text, { ...options, eval: true });
}

/** Candidates, the best first. In a bundle this module is somewhere else, and none of them exists. */
function filesOf(name: WorkerName): readonly string[] {
  // Undefined in a bundle of CommonJS. A bundler must not follow it, so no `new URL` is made of it.
  const url: string | undefined = import.meta.url;
  if (url === undefined || !url.startsWith('file:')) return [];
  const here = fileURLToPath(url);
  const script = SCRIPTS[name];
  return [
    join(dirname(here), `litestream-${basename(script)}.js`),
    join(dirname(here), '..', `${script}${extname(here)}`),
  ];
}
