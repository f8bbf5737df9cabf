export { createClient } from './create-client.ts';
export type { CreateClientOptions, CreatedClient } from './create-client.ts';
