/**
 * A process that follows a replica in a folder once: `node follow-once.ts REPLICA COPY [FAULT]`, the fault as JSON. Prints the
 * calls of the file system that it made from its first look on, as JSON, and ends.
 */
import { callsSeen, watchCalls } from './faulty-fs.ts';
import type { Fault } from './faulty-fs.ts';

const [replica = '', output = '', fault] = process.argv.slice(2);
const { FileClient, Follower, guardClient } = await import('../../src/index.ts');

const follower = await Follower.open(guardClient(new FileClient({ path: replica })), { output });
watchCalls(fault === undefined ? undefined : (JSON.parse(fault) as Fault));
await follower.poll();
const { calls } = callsSeen();
await follower.close();
console.log(JSON.stringify(calls));
