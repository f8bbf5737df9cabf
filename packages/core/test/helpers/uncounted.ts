/**
 * What a writer leaves that is killed, or whose disk fails, between the last frame of a commit and the wal-index header:
 * frames that are a whole transaction, by salts and checksums, and that SQLite does not count as long as the index lives.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runBlocking } from '../../src/util/cooperative.ts';
import { scanWal } from '../../src/sqlite/wal/wal-scan.ts';
import { WalFile } from '../../src/sqlite/wal/wal-file.ts';
import { WAL_HEADER_SIZE, walSizeOf } from '../../src/sqlite/wal/wal-header.ts';
import { removeFolder } from '../../../../tests/support/remove-folder.ts';

/** Leaves a transaction in the log that is all there but for its place in the index. Returns how many bytes it has. */
export function leaveUncounted(path: string, sql: string): number {
  const folder = mkdtempSync(join(tmpdir(), 'litestream-uncounted-'));
  try {
    const copy = join(folder, 'copy.db');
    // By another process: closing a descriptor of the database here would drop SQLite's locks on it.
    for (const suffix of ['', '-wal']) spawnSync('cp', [path + suffix, copy + suffix]);
    const start = countedEnd(path);
    truncateSync(`${copy}-wal`, start);
    // SQLite itself writes it: a copy of the log, recovered, goes on with the same salts and sums.
    const script =
      "const {DatabaseSync}=require('node:sqlite');const d=new DatabaseSync(process.argv[1]);" +
      "d.exec('PRAGMA wal_autocheckpoint=0');d.exec(process.argv[2]);process.kill(process.pid,'SIGKILL')";
    const { stderr } = spawnSync(process.execPath, ['--no-warnings', '-e', script, copy, sql], { encoding: 'utf8' });
    const end = endOf(`${copy}-wal`);
    if (end <= start) throw new Error(`nothing was written: ${stderr}`);
    const bytes = readFileSync(`${copy}-wal`).subarray(start, end);
    const fd = openSync(`${path}-wal`, 'r+');
    writeSync(fd, bytes, 0, bytes.length, start);
    closeSync(fd);
    return bytes.length;
  } finally {
    removeFolder(folder, { force: true });
  }
}

/**
 * Offset in the log after the last commit that SQLite counts, 0 for none: `mxFrame` of the wal-index header, see
 * https://www.sqlite.org/walformat.html. Read by another process: closing `-shm` here would free SQLite's locks on it.
 */
function countedEnd(path: string): number {
  const index = spawnSync('cat', [`${path}-shm`]).stdout;
  const header = new DataView(index.buffer, index.byteOffset, 48);
  const isLittleEndian = new Uint16Array(new Uint8Array([1, 0]).buffer)[0] === 1;
  const count = header.getUint32(16, isLittleEndian);
  const pageSize = header.getUint16(14, isLittleEndian);
  return count === 0 ? 0 : walSizeOf(pageSize === 1 ? 65_536 : pageSize, count);
}

/** Offset in the log after the last commit that a recovery would find; 0 if the log is empty. */
function endOf(log: string): number {
  const wal = new WalFile(log);
  try {
    wal.refresh();
    const header = wal.header();
    if (header === undefined) return 0;
    return runBlocking(scanWal(wal, header, { offset: WAL_HEADER_SIZE, sums: header })).endOffset;
  } finally {
    wal.close();
  }
}
