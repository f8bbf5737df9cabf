/**
 * A process that restores over a database: `node restore-over.ts REPLICA OUTPUT [FAULT]`, the fault as JSON. Says `restoring`
 * first, then the calls of the file system that it made, as JSON.
 */
import { callsSeen, watchCalls } from './faulty-fs.ts';
import type { Fault } from './faulty-fs.ts';

const [replica = '', output = '', fault] = process.argv.slice(2);
const { FileClient, guardClient, restore } = await import('../../src/index.ts');

console.log('restoring');
watchCalls(fault === undefined ? undefined : (JSON.parse(fault) as Fault));
await restore(guardClient(new FileClient({ path: replica })), { output, overwrite: true });
console.log(JSON.stringify(callsSeen().calls));
