/** SQLite opens the files beside a database when it first reads: a pipe that is put there after the open must not block this thread. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { drivers } from './helpers/db-lab.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const root = temporaryFolder('pipes');

describe.skipIf(process.platform === 'win32').each(drivers)('with $name', (driver) => {
  it.each([true, false])('refuses a pipe that is put there after the open (read-only %s)', (readOnly) => {
    const path = join(root, `${driver.name.replace(':', '-')}-${readOnly}.db`);
    writeFileSync(path, '');
    const app = driver.open(path);
    app.get('PRAGMA journal_mode = wal');
    app.exec('CREATE TABLE t (x)');
    app.close();
    const connection = driver.open(path, { readOnly });
    connection.get('PRAGMA database_list');
    connection.exec('BEGIN');
    execFileSync('mkfifo', [`${path}-wal`]);
    expect(() => connection.get('SELECT count(*) FROM t')).toThrow(
      expect.objectContaining({ code: 'DATABASE_INVALID' }) as Error,
    );
    connection.exec('ROLLBACK');
    connection.close();
  });
});
