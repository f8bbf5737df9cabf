/** Output that cannot be written: a log that is lost costs no replication, and a result that is lost is a failure. */
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { countRows, createDatabase, insertRows } from './support/database.ts';
import { BIN, linesInOrder, run, scratchFolder, until } from './support/cli.ts';
import { ltxNames } from './support/replica.ts';

interface Setup {
  readonly folder: string;
  readonly database: string;
  readonly replica: string;
  readonly config: string;
}

function setup(logging = ''): Setup {
  const folder = scratchFolder();
  const database = join(folder, 'app.db');
  const replica = join(folder, 'replica');
  const config = join(folder, 'litestream.yml');
  createDatabase(database, 1);
  writeFileSync(config, `${logging}\ndbs: [{path: ${database}, replica: {path: ${replica}, sync-interval: 10ms}}]\n`);
  return { folder, database, replica, config };
}

type Output = number | 'ignore';

/** The command with these as its standard output and standard error; `limit` is a size of files in KiB. */
function spawnCli(
  args: readonly string[],
  { stdout = 'ignore', stderr = 'ignore', limit }: { stdout?: Output; stderr?: Output; limit?: number },
): { child: ChildProcess; ended: Promise<number | null> } {
  const set = limit === undefined ? '' : `ulimit -f ${limit * 2};`;
  const child = spawn('sh', ['-c', `${set} exec "$0" "$@"`, process.execPath, BIN, ...args], {
    stdio: ['ignore', stdout, stderr],
    env: { PATH: process.env['PATH'], LITESTREAM_CONFIG: '/does/not/exist.yml' },
  });
  const ended = once(child, 'exit').then(([exitCode]: (number | null)[]) => exitCode ?? null);
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { child, ended };
}

function opened(path: string, flags: number): number {
  const descriptor = openSync(path, flags);
  onTestFinished(() => closeSync(descriptor));
  return descriptor;
}

/** One more row, and it is on the replica. */
async function replicateRow({ database, replica }: Setup): Promise<void> {
  const before = ltxNames(replica).length;
  insertRows(database, 1);
  await until(() => ltxNames(replica).length > before, 'one more file on the replica');
}

describe.runIf(existsSync('/dev/full'))('a device without room', () => {
  test.each([
    ['stdout', ''],
    ['stderr', 'logging: {stderr: true}'],
  ])('as %s: every row is replicated, and the program of -exec has a daemon', async (stream, logging) => {
    const at = setup(logging);
    const waiting = `until test -e ${at.folder}/go; do sleep 0.05; done; exit 7`;
    const { ended } = spawnCli(['replicate', '-config', at.config, '-exec', `sh -c "${waiting}"`], {
      [stream]: opened('/dev/full', constants.O_WRONLY),
    });
    await until(() => ltxNames(at.replica).length > 0, 'a file on the replica');
    await replicateRow(at);
    await replicateRow(at);
    writeFileSync(join(at.folder, 'go'), '');
    expect(await ended).toBe(7);
    const copy = join(at.folder, 'copy.db');
    await run(['restore', '-o', copy, `file://${at.replica}`]);
    expect(countRows(copy)).toBe(3);
  });

  test.each([
    ['ltx', (at: Setup) => ['ltx', `file://${at.replica}`]],
    ['databases', (at: Setup) => ['databases', '-config', at.config]],
    ['restore', (at: Setup) => ['restore', '-json', '-o', join(at.folder, 'copy.db'), `file://${at.replica}`]],
    ['version', () => ['version']],
    ['help', () => ['help']],
  ])('the result of %s cannot be printed there: it fails', async (name, argsOf) => {
    const at = setup();
    if (name === 'ltx' || name === 'restore') await run(['replicate', '-once', '-config', at.config]);
    const errors = join(at.folder, 'errors');
    const { ended } = spawnCli(argsOf(at), {
      stdout: opened('/dev/full', constants.O_WRONLY),
      stderr: opened(errors, constants.O_WRONLY | constants.O_CREAT),
    });
    expect(await ended).toBe(1);
    expect(readFileSync(errors, 'utf8')).toContain(
      'Error: cannot print the result on standard output: no space left on the device\n',
    );
  });
});

test('a log file that is full costs no replication, and goes on when it has room', async () => {
  const at = setup();
  const log = join(at.folder, 'log');
  writeFileSync(log, '.'.repeat(200 * 1024));
  const { O_WRONLY, O_APPEND } = constants;
  const { child, ended } = spawnCli(['replicate', '-config', at.config], {
    stdout: opened(log, O_WRONLY | O_APPEND),
    limit: 200,
  });
  await until(() => ltxNames(at.replica).length > 0, 'a file on the replica');
  await replicateRow(at);
  truncateSync(log, 0);
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  const lines = linesInOrder(readFileSync(log, 'utf8'));
  expect(lines[0]).toMatch(
    /^level=WARN msg="log lines were dropped here, the log output did not accept them" lines=[1-9]\d* error=EFBIG$/,
  );
  expect(lines[1]).toContain('msg="signal received, litestream shutting down"');
});

test('a line that was cut off does not run into the next one', async () => {
  const at = setup();
  const log = join(at.folder, 'log');
  writeFileSync(log, '.'.repeat(200 * 1024 - 10));
  const { O_WRONLY, O_APPEND } = constants;
  const { child, ended } = spawnCli(['replicate', '-config', at.config], {
    stdout: opened(log, O_WRONLY | O_APPEND),
    limit: 200,
  });
  await until(() => ltxNames(at.replica).length > 0, 'a file on the replica');
  truncateSync(log, 1000);
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  expect(readFileSync(log, 'utf8').slice(1000)).toMatch(/^\ntime=\S+ level=WARN msg="log lines were dropped here/);
});

describe.runIf(process.platform === 'linux')('a pipe', () => {
  /** A pipe that holds no more; this process is its reader. */
  function fullPipe(folder: string): { reader: number; writer: number } {
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    const reader = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    const writer = opened(path, constants.O_WRONLY);
    fill(reader);
    return { reader, writer };
  }

  function fill(descriptor: number): void {
    const bytes = Buffer.alloc(4096, '.\n');
    try {
      for (;;) writeSync(descriptor, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }

  function drain(descriptor: number): string {
    const bytes = Buffer.alloc(65_536);
    let text = '';
    try {
      for (;;) text += bytes.toString('utf8', 0, readSync(descriptor, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
    return text;
  }

  test('nobody reads: replication goes on, the program of -exec keeps its pipe, and the log is back with the reader', async () => {
    const at = setup();
    const { reader, writer } = fullPipe(at.folder);
    onTestFinished(() => closeSync(reader));
    const flags = join(at.folder, 'flags');
    // Its own standard output, as it inherited it.
    const program = `sh -c "grep flags /proc/$$/fdinfo/1 >${flags}; exec sleep 600"`;
    const { child, ended } = spawnCli(['replicate', '-config', at.config, '-exec', program], { stdout: writer });
    await until(() => ltxNames(at.replica).length > 0, 'a file on the replica');
    await replicateRow(at);
    await until(() => existsSync(flags) && readFileSync(flags, 'utf8').includes('\n'), 'the flags of the pipe');
    drain(reader);
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
    const log = drain(reader);
    expect(log).toMatch(
      /msg="log lines were dropped here, the log output did not accept them" lines=[1-9]\d* error=EAGAIN\n/,
    );
    expect(log).toContain('msg="signal received, litestream shutting down"');
    const isNonBlocking = Number.parseInt(readFileSync(flags, 'utf8').replace('flags:', ''), 8) & constants.O_NONBLOCK;
    expect(isNonBlocking).toBe(0);
  });

  test('its reader went away: replication goes on', async () => {
    const at = setup();
    const { reader, writer } = fullPipe(at.folder);
    closeSync(reader);
    const { child, ended } = spawnCli(['replicate', '-config', at.config], { stdout: writer });
    await until(() => ltxNames(at.replica).length > 0, 'a file on the replica');
    await replicateRow(at);
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });

  test('the reader of a result went away: it ends as programs do that get SIGPIPE, without a word', async () => {
    const at = setup();
    const { reader, writer } = fullPipe(at.folder);
    closeSync(reader);
    const errors = join(at.folder, 'errors');
    const { ended } = spawnCli(['databases', '-config', at.config], {
      stdout: writer,
      stderr: opened(errors, constants.O_WRONLY | constants.O_CREAT),
    });
    expect(await ended).toBe(141);
    expect(readFileSync(errors, 'utf8')).toBe('');
  });
});
