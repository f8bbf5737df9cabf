export * from './client/contract.ts';
export * from './error.ts';
export * from './logger.ts';
