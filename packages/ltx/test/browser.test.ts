import { existsSync, readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';

/** Every module reachable from `entry`, with what it imports from outside the package. */
function reach(entry: URL, seen = new Map<string, string[]>()): Map<string, string[]> {
  if (seen.has(entry.href)) return seen;
  const outside: string[] = [];
  seen.set(entry.href, outside);
  const text = readFileSync(entry, 'utf8');
  for (const match of text.matchAll(/(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)) {
    const name = match[1] ?? '';
    if (name.startsWith('.')) reach(new URL(name, entry), seen);
    else outside.push(name);
  }
  return seen;
}

test('nothing reachable from the entry needs Node', () => {
  const modules = reach(new URL('../src/index.ts', import.meta.url));
  expect(modules.size).toBeGreaterThan(15);
  expect([...modules.values()].flat()).toEqual([]);
  for (const href of modules.keys()) {
    expect(existsSync(new URL(href))).toBe(true);
    // Comments may speak of processes.
    const code = readFileSync(new URL(href), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    expect({ href, uses: /\b(?:Buffer|process|require)\b[.(]/.exec(code)?.[0] }).toEqual({ href, uses: undefined });
  }
  // The check itself sees what it looks for.
  const node = reach(new URL('../src/node/index.ts', import.meta.url));
  expect([...node.values()].flat()).toContain('node:fs');
});

test('each thread has a kernel of its own', async () => {
  const index = new URL('../src/index.ts', import.meta.url).href;
  const code = `
    const { parentPort } = require('node:worker_threads');
    import(${JSON.stringify(index)}).then(({ kernel }) => {
      parentPort.postMessage(kernel().crc64(new TextEncoder().encode('123456789')));
    });`;
  const worker = new Worker(code, { eval: true });
  const answer = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await worker.terminate();
  expect(answer).toBe(0xb90956c775a41001n);
});
