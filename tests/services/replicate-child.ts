/** Replicates one database until it is killed: `node replicate-child.ts DATABASE CONFIG`, the replica's config as JSON. */
import { DB, Replica, guardClient } from '@litestream/core';

import { createClient } from './clients.ts';
import type { RunningService } from './service.ts';

const [database = '', text = ''] = process.argv.slice(2);
const { path, ...config } = JSON.parse(text) as RunningService['config'] & { readonly path: string };

const client = guardClient(await createClient({ config, stop: () => Promise.resolve() }, path));
await client.init();
const db = new DB(database);
const replica = new Replica(client, db, { syncIntervalMs: 100 });
await db.open({ history: replica });
db.start();
replica.start();
// Nothing else keeps the process up while the database is quiet.
setInterval(() => undefined, 1000);
