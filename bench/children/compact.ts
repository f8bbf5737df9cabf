/** Compacts level 0 of a folder into level 1, as a daemon does, and prints what that took: `node compact.ts FOLDER`. */
import { Compactor, FileClient, guardClient } from '@litestream/core';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: compact.ts FOLDER');
await using client = guardClient(new FileClient({ path: folder }));
const cpuBefore = process.cpuUsage();
const startedAt = performance.now();
const written = await new Compactor(client).compact(1);
const wallMs = performance.now() - startedAt;
const { user, system } = process.cpuUsage(cpuBefore);
console.log(JSON.stringify({ wallMs, cpuMs: (user + system) / 1000, files: written.length }));
