/**
 * A program that replicates from inside itself and watches its own event loop: `node embedded.ts DATABASE REPLICA`.
 * Says `ready`; on SIGTERM prints how late timers were, and ends.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { once } from 'node:events';
import { Litestream } from '@litestream/core';

const [path, replica] = process.argv.slice(2);
if (path === undefined || replica === undefined) throw new Error('usage: embedded.ts DATABASE REPLICA');
const resolutionMs = 1;
const keepAlive = setInterval(() => undefined, 60_000);
await using litestream = new Litestream();
const database = await litestream.replicate(path, replica);
await database.replicated();
const delay = monitorEventLoopDelay({ resolution: resolutionMs });
delay.enable();
console.log('ready');
await once(process, 'SIGTERM');
delay.disable();
clearInterval(keepAlive);
// The histogram holds whole intervals: what is above the resolution is the delay.
const ms = (value: number): number => Math.max(0, value / 1e6 - resolutionMs);
console.log(JSON.stringify({ p50Ms: ms(delay.percentile(50)), p99Ms: ms(delay.percentile(99)), maxMs: ms(delay.max) }));
