/** Runs one PRAGMA on one database, in a process of its own, and reports its rows. */
import type { IntegrityReply, IntegrityRequest } from './integrity.ts';

/** Bytes that SQLite may use: an expression in the database may ask for a gigabyte at a time. */
const HEAP_MAX = 2 ** 30;

process.once('message', (request) => {
  void check(request as IntegrityRequest).then((reply) => process.send?.(reply, () => process.disconnect()));
});

async function check({ url, pragma }: IntegrityRequest): Promise<IntegrityReply> {
  try {
    // Loaded here: the import itself warns on some versions of Node.
    const { DatabaseSync } = await import('node:sqlite');
    const database = new DatabaseSync(url, { readOnly: true, defensive: true, limits: { attach: 0 } });
    database.exec(`PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA hard_heap_limit = ${HEAP_MAX}`);
    const rows = database.prepare(`PRAGMA ${pragma}`).all();
    database.close();
    return { rows: rows.map((row) => String(Object.values(row)[0])) };
  } catch (error) {
    return { message: error instanceof Error ? error.message : String(error) };
  }
}
