/** `node disk-load.ts FOLDER`: rewrites a file in the folder, with an fsync after each chunk, until its parent ends. */
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

const CHUNK_SIZE = 1 << 20;
const FILE_SIZE_MAX = 64 << 20;

process.on('disconnect', () => process.exit());
// Ctrl-C is for the parent, which then ends this process.
process.on('SIGINT', () => {});
const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: disk-load.ts FOLDER');
await using file = await open(join(folder, 'load'), 'w');
const chunk = randomBytes(CHUNK_SIZE);
for (let at = 0; ; at = (at + CHUNK_SIZE) % FILE_SIZE_MAX) {
  await file.write(chunk, 0, CHUNK_SIZE, at);
  await file.sync();
}
