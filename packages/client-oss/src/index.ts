export * from './errors.ts';
export * from './options.ts';
export * from './oss-client.ts';
export * from './plugin.ts';
export { default } from './plugin.ts';
