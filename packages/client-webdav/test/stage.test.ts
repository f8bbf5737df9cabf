/** Where the file of a body of unknown size is until it is sent. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { silentLogger } from '@litestream/core';
import type { Body, LtxFileRef, ReplicaClient } from '@litestream/core';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { parseWebdavConfig, webdav } from '../src/index.ts';
import { WebdavTestServer } from './webdav-server.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

let server: WebdavTestServer;
let folder: string;
beforeEach(async () => {
  server = await WebdavTestServer.start();
  folder = mkdtempSync(join(tmpdir(), 'litestream-stage-'));
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  removeFolder(folder);
});

const FILE: LtxFileRef & { timestamp: Date } = { level: 1, minTxid: 1n, maxTxid: 2n, timestamp: new Date() };
const bytes: Buffer = randomBytes(3_000_000);

function body(): Body {
  return {
    open: async function* () {
      for (let from = 0; from < bytes.length; from += 65_536) yield bytes.subarray(from, from + 65_536);
    },
  };
}

/** As the CLI makes it, from a config and what it says of the database. */
async function clientWith(paths: { database?: string; replica?: string }): Promise<ReplicaClient> {
  const config = {
    'webdav-url': server.url,
    'webdav-username': server.username,
    'webdav-password': server.password,
    'staging-path': paths.replica,
  };
  const context = { logger: silentLogger, env: {}, folder, stagingPath: paths.database };
  return await webdav().create(parseWebdavConfig(config), context);
}

/** Of this process; none where the system does not list them. */
function openFilesIn(path: string): string[] {
  if (!existsSync('/proc/self/fd')) return [];
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(path) ? [target] : [];
    } catch {
      return []; // Closed meanwhile.
    }
  });
}

test.each([
  ['the database', { database: 'of-database' }, 'of-database'],
  ['the replica, if both name one', { database: 'of-database', replica: 'of-replica' }, 'of-replica'],
])('it is the folder that %s names, and nothing is left there', async (_, named, expected) => {
  const paths = Object.fromEntries(Object.entries(named).map(([of, name]) => [of, join(folder, name)]));
  await using client = await clientWith(paths);
  let seen: string[] = [];
  let names: string[] = [];
  server.fault = (method) => {
    if (method === 'PUT') {
      seen = openFilesIn(folder);
      names = readdirSync(join(folder, expected));
    }
    return undefined;
  };
  await client.writeLtxFile(FILE, body());
  // The file has no name any more: a process that is killed leaves nothing.
  expect(names).toEqual([]);
  if (existsSync('/proc/self/fd')) expect(seen).toEqual([expect.stringContaining(join(folder, expected))]);
  expect(readdirSync(folder)).toEqual([expected]);
  expect(openFilesIn(folder)).toEqual([]);
  expect(Buffer.concat(await Array.fromAsync(await client.openLtxFile(FILE))).equals(bytes)).toBe(true);
});

const canMount: boolean = spawnSync('mount', ['--version']).status === 0 && process.getuid?.() === 0;

test.skipIf(!canMount)("one without room is this machine's full disk, not the server's", async () => {
  const small = join(folder, 'small');
  mkdirSync(small);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small]).status !== 0) {
    console.log('small staging folder: SKIPPED, this user may not mount one');
    return;
  }
  try {
    await using client = await clientWith({ database: small });
    await expect(client.writeLtxFile(FILE, body())).rejects.toMatchObject({
      code: 'DISK_FULL',
      retryable: true,
      object: small,
    });
    expect(readdirSync(small)).toEqual([]);
    expect(openFilesIn(folder)).toEqual([]);
    expect(server.requests.filter((request) => request.startsWith('PUT'))).toEqual([]);
  } finally {
    spawnSync('umount', ['-l', small]);
  }
});
