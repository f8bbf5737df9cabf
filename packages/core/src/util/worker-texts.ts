/** The scripts of workers, each as one text that needs no other file. The build of the package fills them in. */
import type { WorkerName } from './worker-script.ts';

export const WORKER_TEXTS: Readonly<Partial<Record<WorkerName, string>>> = {};
