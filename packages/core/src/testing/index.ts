export * from './fault-client.ts';
export * from './memory-client.ts';
export * from './seeded.ts';
