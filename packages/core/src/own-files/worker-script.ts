/**
 * Finds the scripts of worker threads and child processes. They are files of this package. A bundled application has no such
 * files: it runs their texts, which are part of the bundle.
 */
import { existsSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { WorkerOptions } from 'node:worker_threads';

/** Path of each script below `src`, without its extension. */
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

/** The path of a module, or the text of a CommonJS script that needs no other file. */
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

/** Candidates, the best first. In a bundle, this module has another path, and none of the candidates exists. */
function filesOf(name: WorkerName): readonly string[] {
  // Undefined in a CommonJS bundle. No `new URL`: bundlers follow it.
  const url: string | undefined = import.meta.url;
  if (url === undefined || !url.startsWith('file:')) return [];
  const here = fileURLToPath(url);
  const script = SCRIPTS[name];
  return [
    join(dirname(here), `litestream-${basename(script)}.js`),
    join(dirname(here), '..', `${script}${extname(here)}`),
  ];
}
