/** Runs one PRAGMA on one database, in a separate process, and reports its rows. */
import { once } from 'node:events';
import { startWorker } from '../../own-files/worker-script.ts';
import type { WorkerScript } from '../../own-files/worker-script.ts';
import type { IntegrityReply, IntegrityRequest } from './integrity.ts';

process.once('message', (request) => {
  void check(request as IntegrityRequest).then((reply) => process.send?.(reply, () => process.disconnect()));
});

async function check({ url, pragma, memory, memoryWatch }: IntegrityRequest): Promise<IntegrityReply> {
  try {
    await watchMemory(memoryWatch, process.memoryUsage.rss() + memory);
    // Loaded here: the import itself warns on some versions of Node.
    const { DatabaseSync } = await import('node:sqlite');
    const database = new DatabaseSync(url, { readOnly: true, defensive: true, limits: { attach: 0 } });
    database.exec('PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON');
    const rows = database.prepare(`PRAGMA ${pragma}`).all();
    database.close();
    return { rows: rows.map((row) => String(Object.values(row)[0])) };
  } catch (error) {
    return { message: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * Watches from a thread, since a statement blocks this one. The SQLite of Node counts no memory (`DEFAULT_MEMSTATUS=0`), so it ignores
 * `hard_heap_limit`.
 */
async function watchMemory(script: WorkerScript, rssMax: number): Promise<void> {
  const watch = startWorker(script, { workerData: rssMax });
  await once(watch, 'online');
  watch.unref();
}
