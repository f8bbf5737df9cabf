export * from './errors.ts';
export * from './nats-client.ts';
export * from './options.ts';
export * from './plugin.ts';
export { default } from './plugin.ts';
