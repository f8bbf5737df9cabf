export * from './errors.ts';
export * from './options.ts';
export * from './s3-client.ts';
export * from './url.ts';
