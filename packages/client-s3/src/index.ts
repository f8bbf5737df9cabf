export * from './connection/errors.ts';
export * from './connection/options.ts';
export * from './plugin.ts';
export { s3 as default } from './plugin.ts';
export * from './s3-client.ts';
