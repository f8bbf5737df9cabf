export * from './client/contract.ts';
export * from './client/object-names.ts';
export * from './error.ts';
export * from './logger.ts';
