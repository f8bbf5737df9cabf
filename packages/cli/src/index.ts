export { run } from './run.ts';
export { loadConfig, parseConfig } from './config/load.ts';
export type { LoadedConfig } from './config/load.ts';
export type * from './config/types.ts';
