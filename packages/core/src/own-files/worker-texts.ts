/** The scripts of workers, each as one text that needs no other file. The build of the package fills them in. */

/** By the name of the worker. */
export const WORKER_TEXTS: Readonly<Record<string, string>> = {};
