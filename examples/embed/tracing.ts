/**
 * Spans for what Litestream does, from `node:diagnostics_channel`. With OpenTelemetry, `begin` would be
 * `tracer.startSpan(…)` and `end` would be `span.end()`. `node … FOLDER`
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Litestream, litestreamChannel, TRACED_OPERATIONS } from '@litestream/core';
import type { TraceMessage } from '@litestream/core';

const startedAt = new WeakMap<TraceMessage, number>();
const begin = (message: TraceMessage): void => void startedAt.set(message, performance.now());
const end = (message: TraceMessage): void => {
  const durationMs = performance.now() - (startedAt.get(message) ?? 0);
  const outcome = message.error === undefined ? 'ok' : 'failed';
  console.log(`${message.operation} ${outcome} ${durationMs.toFixed(1)} ms`);
};
for (const operation of TRACED_OPERATIONS) {
  litestreamChannel(operation).subscribe({
    start: begin,
    // A checkpoint is over when it returns; everything else when its promise settles.
    end: operation === 'checkpoint' ? end : () => undefined,
    asyncStart: () => undefined,
    asyncEnd: end,
    error: () => undefined,
  });
}

const folder = process.argv[2] ?? '.';
const path = join(folder, 'app.db');
const database = new DatabaseSync(path);
database.exec('PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)');
await using litestream = new Litestream();
const replicated = await litestream.replicate(path, join(folder, 'replica'));
await replicated.replicated();
await replicated.snapshot();
await litestream.restore(join(folder, 'replica'), { output: join(folder, 'copy.db'), overwrite: true });
