export * from './transfer/errors.ts';
export * from './gcs-client.ts';
export * from './options.ts';
export * from './plugin.ts';
export { gcs as default } from './plugin.ts';
