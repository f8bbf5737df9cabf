import { open } from 'node:fs/promises';

const chunkSize = 4 << 20;

/**
 * Throws unless both files hold the same bytes: a fast restore of something else is worth nothing. Neither may be open
 * in SQLite here.
 */
export async function sameFiles(one: string, other: string): Promise<void> {
  await using a = await open(one, 'r');
  await using b = await open(other, 'r');
  const [left, right] = [Buffer.alloc(chunkSize), Buffer.alloc(chunkSize)];
  for (let at = 0; ; at += chunkSize) {
    const [x, y] = await Promise.all([a.read(left, 0, chunkSize, at), b.read(right, 0, chunkSize, at)]);
    if (x.bytesRead !== y.bytesRead || left.compare(right, 0, y.bytesRead, 0, x.bytesRead) !== 0) {
      throw new Error(`${one} and ${other} differ within the ${chunkSize} bytes from ${at}`);
    }
    if (x.bytesRead < chunkSize) return;
  }
}
