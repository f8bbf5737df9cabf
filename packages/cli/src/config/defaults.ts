/** In a module of its own, so that a command without a config does not load the libraries that validate configs. */
export const DEFAULT_SYNC_INTERVAL_MS = 1000;
