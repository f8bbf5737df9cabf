export * from './abs-client.ts';
export * from './errors.ts';
export * from './options.ts';
export * from './plugin.ts';
export { abs as default } from './plugin.ts';
