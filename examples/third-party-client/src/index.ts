export { sqlite, sqlite as default } from './plugin.ts';
export type { SqliteConfig } from './plugin.ts';
export { SqliteClient } from './sqlite-client.ts';
