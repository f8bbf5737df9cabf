/** In a module of its own: a command that reads no config does not load the libraries that check one. */
export const DEFAULT_SYNC_INTERVAL_MS = 1000;
