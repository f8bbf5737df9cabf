/** How long a shutdown may take: `shutdown-timeout` bounds all of it, and a second signal ends it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createDatabase } from './support/database.ts';
import { hasEnded, scratchFolder, start, until } from './support/cli.ts';
import type { Cli } from './support/cli.ts';

/** Every backend that speaks over TCP, on a server that accepts and says nothing. */
const backends = (port: number): Readonly<Record<string, string>> => ({
  s3: `{type: s3, bucket: b, path: p, region: r, endpoint: 'http://127.0.0.1:${port}', access-key-id: a, secret-access-key: b}`,
  gs: `{type: gs, bucket: b, path: p, endpoint: 'http://127.0.0.1:${port}'}`,
  abs: `{type: abs, bucket: b, path: p, account-name: a, account-key: a2V5, endpoint: 'http://127.0.0.1:${port}/a'}`,
  oss: `{type: oss, bucket: bucket, path: p, region: r, endpoint: 'http://127.0.0.1:${port}', access-key-id: a, secret-access-key: b}`,
  sftp: `{type: sftp, host: '127.0.0.1:${port}', user: u, password: p, path: /p}`,
  webdav: `{type: webdav, webdav-url: 'http://127.0.0.1:${port}', path: p}`,
  nats: `{type: nats, url: 'nats://127.0.0.1:${port}/b'}`,
});

async function silentServer(): Promise<{ readonly port: number; readonly connectionCount: () => number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, connectionCount: () => sockets.size };
}

/** A daemon with one database for each of these backends, each of which waits for a silent server. */
async function stalled(timeout: string, names: readonly string[]): Promise<Cli> {
  const folder = scratchFolder();
  // Each has its own, since one may connect several times.
  const servers = await Promise.all(names.map(silentServer));
  const lines = names.map((name, index) => {
    const path = join(folder, `${name}.db`);
    createDatabase(path);
    return `  - {path: ${path}, replica: ${backends(servers[index]?.port ?? 0)[name]}}\n`;
  });
  const config = join(folder, 'litestream.yml');
  writeFileSync(config, `shutdown-timeout: ${timeout}\nshutdown-sync-timeout: 1h\ndbs:\n${lines.join('')}`);
  const daemon = start(['replicate', '-config', config]);
  await until(() => servers.every(({ connectionCount }) => connectionCount() > 0), 'a connection of every backend');
  return daemon;
}

/** A daemon with a program that stays when it is told to end; resolves when both run. */
async function stubborn(timeout: string): Promise<{ readonly daemon: Cli; readonly pid: number }> {
  const folder = scratchFolder();
  const path = join(folder, 'app.db');
  createDatabase(path);
  const config = join(folder, 'litestream.yml');
  writeFileSync(
    config,
    `shutdown-timeout: ${timeout}\ndbs: [{path: ${path}, replica: {path: ${join(folder, 'replica')}}}]\n`,
  );
  const [script, mark] = [join(folder, 'app.mjs'), join(folder, 'pid')];
  writeFileSync(
    script,
    `import { writeFileSync } from 'node:fs';
process.on('SIGTERM', () => {});
const parent = process.ppid;
setInterval(() => { if (process.ppid !== parent) process.exit(1); }, 100);
writeFileSync('${mark}', String(process.pid));
`,
  );
  const daemon = start(['replicate', '-config', config, '-exec', `${process.execPath} ${script}`]);
  await until(() => existsSync(mark) && readFileSync(mark, 'utf8') !== '', 'the program');
  return { daemon, pid: Number(readFileSync(mark, 'utf8')) };
}

const HINT =
  'Changes since the last upload are in the database and the local files, and are uploaded when replication restarts.';

describe('servers that do not answer', () => {
  test('shutdown-timeout ends the shutdown with status 1, whatever the backend', async () => {
    const daemon = await stalled('500ms', Object.keys(backends(0)));
    const { exitCode, stdout, stderr } = await daemon.stop('SIGTERM');
    expect(stderr).toBe(
      `Error: shutdown timed out after 500ms. ${HINT} Set shutdown-timeout in the config to wait longer.\n`,
    );
    expect(exitCode).toBe(1);
    expect(stdout).not.toContain('msg="litestream shut down"');
  });

  test('a second signal ends it with status 1', async () => {
    const daemon = await stalled('1000h', ['sftp']);
    daemon.child.kill('SIGTERM');
    await daemon.said('msg="signal received, litestream shutting down"');
    const { exitCode, stderr } = await daemon.stop('SIGINT');
    expect(stderr).toBe(`Error: shutdown interrupted by interrupt. ${HINT}\n`);
    expect(exitCode).toBe(1);
  });
});

describe('a program of -exec that does not end', () => {
  /** It is killed, and may end after the daemon. */
  const isGone = (pid: number): Promise<void> => until(() => hasEnded(pid), 'the program to end');

  test('is killed when the shutdown takes too long', async () => {
    const { daemon, pid } = await stubborn('500ms');
    const { exitCode, stderr } = await daemon.stop('SIGTERM');
    expect(stderr).toContain('Error: shutdown timed out after 500ms.');
    expect(exitCode).toBe(1);
    await isGone(pid);
  });

  test('is killed at a second signal', async () => {
    const { daemon, pid } = await stubborn('1h');
    daemon.child.kill('SIGTERM');
    await daemon.said('msg="waiting for exec process to close"');
    const { exitCode, stderr } = await daemon.stop('SIGTERM');
    expect(stderr).toContain('Error: shutdown interrupted by terminated.');
    expect(exitCode).toBe(1);
    await isGone(pid);
  });
});
