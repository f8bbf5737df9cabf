/** Places that a server cannot listen at: the log says what is wrong with each, and replication goes on. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { run, scratchFolder, start, until } from './support/cli.ts';
import type { RunOptions } from './support/cli.ts';
import { createDatabase } from './support/database.ts';
import { hasFiles } from './support/replica.ts';

const TOKEN = '0123456789abcdef-token';

/** Starts a daemon with these places; its log once it has replicated. */
async function logOf(folder: string, places: readonly string[], options: RunOptions = {}): Promise<string> {
  const config = join(folder, 'litestream.yml');
  const [database, replica] = [join(folder, 'app.db'), join(folder, 'replica')];
  createDatabase(database);
  writeFileSync(config, `${places.join('\n')}\ndbs: [{path: ${database}, replica: {path: ${replica}}}]\n`);
  if (options.uid !== undefined) for (const each of [folder, database]) chmodSync(each, 0o777);
  const daemon = start(['replicate', '-config', config], options);
  await until(() => hasFiles(replica), 'a file on the replica');
  return (await daemon.stop()).stdout;
}

/** What the log says of the control socket, and of a socket of `mcp-addr`, at the same path. */
async function bothSockets(folder: string, path: string, options?: RunOptions): Promise<string[]> {
  const log = await logOf(folder, [`socket: {enabled: true, path: ${path}}`, `mcp-addr: unix://${path}`], options);
  const lines = log.split('\n').filter((line) => / msg="(failed to start control|MCP) server/.test(line));
  return lines.map((line) => /error="(.*)"$/.exec(line)?.[1] ?? line);
}

test('a socket in a folder that does not exist', async () => {
  const folder = scratchFolder();
  const path = join(folder, 'run', 's.sock');
  const said = `the folder of socket path ${path} does not exist. Create ${folder}/run, or choose another socket path.`;
  expect(await bothSockets(folder, path)).toEqual([said, said]);
});

test('a socket below a file', async () => {
  const folder = scratchFolder();
  writeFileSync(join(folder, 'file'), '');
  const path = join(folder, 'file', 's.sock');
  const said = `a parent of the socket path ${path} is a file. Choose a path whose parents are folders.`;
  expect(await bothSockets(folder, path)).toEqual([said, said]);
  const { stderr } = await run(['info', '-socket', path]);
  expect(stderr).toContain(`dial unix ${path}: connect: not a directory\n`);
});

test('a socket whose path is longer than the system takes', async () => {
  const folder = scratchFolder();
  const path = join(folder, 'x'.repeat(110));
  const found = await bothSockets(folder, path);
  expect(found).toHaveLength(2);
  for (const said of found) {
    expect(said).toContain(`socket path ${path} is too long: ${path.length} bytes, and the system takes 10`);
  }
  const { stderr } = await run(['info', '-socket', path]);
  expect(stderr).toContain(`dial unix ${path}: connect: path too long for a socket\n`);
});

test('a socket in a folder without permission to write', async () => {
  const folder = scratchFolder();
  const locked = join(folder, 'locked');
  mkdirSync(locked);
  chmodSync(locked, 0o555);
  const path = join(locked, 's.sock');
  const said = `socket path ${path}: no permission to create it. Let the user of litestream write to its folder, or choose another socket path.`;
  const asRoot = process.geteuid?.() === 0 ? { uid: 65_534 } : {};
  expect(await bothSockets(folder, path, asRoot)).toEqual([said, said]);
});

test('addresses that are in use, that are not of this machine, and that have no known name', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void holder.close());
  const taken = `127.0.0.1:${(holder.address() as AddressInfo).port}`;
  const first = await logOf(scratchFolder(), [`addr: ${taken}`, 'mcp-addr: 203.0.113.5:9', `mcp-token: ${TOKEN}`]);
  expect(first).toContain(
    `msg="cannot start metrics server" error="${taken} is in use by another process. Stop that process, or choose another port."`,
  );
  const other = 'Use an address of this machine, or :PORT for all of its addresses.';
  expect(first).toContain(`error="cannot listen on 203.0.113.5:9: this machine does not have that address. ${other}"`);
  const second = await logOf(scratchFolder(), ['addr: host.invalid:9']);
  expect(second).toContain(`error="cannot listen on host.invalid:9: the name host.invalid is not known. ${other}"`);
});
