/** Runs one PRAGMA on one database and reports its rows. */
import { parentPort, workerData } from 'node:worker_threads';
import type { IntegrityReply, IntegrityRequest } from './integrity.ts';

const { url, pragma } = workerData as IntegrityRequest;
// The rule is about windows, which have origins; a thread's port has none.
// oxlint-disable-next-line unicorn/require-post-message-target-origin
parentPort?.postMessage(await check());

async function check(): Promise<IntegrityReply> {
  try {
    // Loaded here: the import itself warns on some versions of Node.
    const { DatabaseSync } = await import('node:sqlite');
    const database = new DatabaseSync(url, { readOnly: true });
    const rows = database.prepare(`PRAGMA ${pragma}`).all();
    database.close();
    return { rows: rows.map((row) => String(Object.values(row)[0])) };
  } catch (error) {
    return { message: error instanceof Error ? error.message : String(error) };
  }
}
