/** The worker scripts, each as one text that needs no other file. The build of the package fills them in. */

/** Texts by the name of the worker. */
export const WORKER_TEXTS: Readonly<Record<string, string>> = {};
