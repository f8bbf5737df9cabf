export * from './errors.ts';
export * from './options.ts';
export * from './plugin.ts';
export { default } from './plugin.ts';
export * from './webdav-client.ts';
