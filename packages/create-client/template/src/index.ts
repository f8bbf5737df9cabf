export { acmeStore, acmeStore as default } from './plugin.ts';
export type { AcmeStoreConfig } from './plugin.ts';
export { AcmeStoreClient } from './client.ts';
