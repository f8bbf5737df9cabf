/**
 * Speed of the kernel, in bytes of pages (uncompressed) a second, one thread: `node bench/kernel.ts`.
 * The pages are of a kind found in databases: records of text and numbers, some free space.
 */
import { kernel } from '../src/index.ts';

const PAGE_SIZE = 4096;
const PAGE_COUNT = 256;
const SECONDS = 0.7;

function makePages(): Uint8Array {
  let state = 12345;
  const random = (): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state / 2 ** 32;
  };
  const words = ['order', 'customer', 'pending', 'shipped', 'GB', 'invoice', 'warehouse', 'street', 'total', 'note'];
  const encoder = new TextEncoder();
  const pages = new Uint8Array(PAGE_SIZE * PAGE_COUNT);
  for (let page = 0; page < PAGE_COUNT; page += 1) {
    let at = page * PAGE_SIZE + 400;
    const end = (page + 1) * PAGE_SIZE;
    while (at < end) {
      const text = `${Math.floor(random() * 1e9)}${words[Math.floor(random() * words.length)]}${random().toString(36)}`;
      const bytes = encoder.encode(text).subarray(0, end - at);
      pages.set(bytes, at);
      at += bytes.length;
    }
  }
  return pages;
}

function measure(name: string, bytes: number, run: () => void): void {
  for (let i = 0; i < 20; i += 1) run();
  let best = 0;
  for (let round = 0; round < 5; round += 1) {
    const start = performance.now();
    let count = 0;
    do {
      run();
      count += 1;
    } while (performance.now() - start < (SECONDS * 1000) / 5);
    best = Math.max(best, (count * bytes) / (performance.now() - start) / 1e6);
  }
  console.log(`${name.padEnd(34)} ${best.toFixed(2)} GB/s`);
}

const k = kernel();
const pgnos = Uint32Array.from({ length: PAGE_COUNT }, (_, i) => i + 1);
const noise = new Uint8Array(PAGE_SIZE * PAGE_COUNT);
for (let at = 0; at < noise.length; at += 65536) crypto.getRandomValues(noise.subarray(at, at + 65536));

measure('crc64, 1 MiB a call', noise.length, () => k.crc64(noise));
measure('page checksums', noise.length, () => k.pageChecksums(pgnos, noise, PAGE_SIZE));
measure('WAL checksum', noise.length, () => k.walChecksum(noise, false, 0, 0));
for (const [name, pages] of [
  ['records', makePages()],
  ['zeros', new Uint8Array(noise.length)],
  ['noise', noise],
] as const) {
  const frames = k.encodeFrames(pgnos, pages, PAGE_SIZE, 0n).frames.slice();
  console.log(`${name}: compressed to ${((100 * frames.length) / pages.length).toFixed(1)} %`);
  measure(`  encode, with checksum`, pages.length, () => k.encodeFrames(pgnos, pages, PAGE_SIZE, 0n));
  measure(`  decode, with checksum`, pages.length, () => k.decodeFrames(frames, PAGE_SIZE, 0n));
}
