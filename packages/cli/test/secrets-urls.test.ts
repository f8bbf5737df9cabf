/** URLs with an unescaped secret: a parser rejects or misreads them. No output shows what may be the secret. */
import { existsSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { Litestream, PluginRegistry, parseReplicaUrl } from '@litestream/core';
import { expect, test } from 'vitest';
import { parseConfig } from '../src/config/load.ts';
import { describeError } from '../src/util/describe-error.ts';
import { DEAD, canary, expectNone } from './support/canaries.ts';
import { run, scratchFolder, start } from './support/cli.ts';
import { createDatabase } from './support/database.ts';

const SCHEMES = ['s3', 'gs', 'abs', 'oss', 'sftp', 'webdav', 'webdavs', 'nats', 'file', 'of-nobody'];

/** Each puts a secret where a password, or a key, stands. */
const SHAPES: readonly ((secret: string) => string)[] = [
  (secret) => `u:${secret}/x%zz@${DEAD}/p`,
  (secret) => `u:x%/${secret}@${DEAD}/p`,
  (secret) => `u:${secret}#x%zz@${DEAD}/p`,
  (secret) => `u:x%#${secret}@${DEAD}/p`,
  (secret) => `u:x%zz${secret}@${DEAD}/p`,
  (secret) => `u:x/${secret}@${DEAD}/p`,
  (secret) => `u:x#${secret}@${DEAD}/p`,
  (secret) => `u:x?${secret}@${DEAD}/p`,
  (secret) => `u:12/${secret}@${DEAD}/p`,
  (secret) => `${secret}%zz@${DEAD}/p`,
  (secret) => `bucket/p%zz?secretAccessKey=${secret}#%`,
];

const URLS = SCHEMES.flatMap((scheme) =>
  SHAPES.map((shape, index) => `${scheme}://${shape(canary(`${scheme}-${index}`))}`),
);

/** Also without the slashes, and as a program for copying files takes it. */
const MISWRITTEN = URLS.slice(0, SHAPES.length).map((url) => url.replace('://', ':/'));

function allOf(error: unknown): string {
  return [inspect(error, { depth: 20, showHidden: true }), JSON.stringify(error), String(error)].join('\n');
}

test('the library: what is thrown, and what is shown of one that can be read', async () => {
  await using litestream = new Litestream({ store: false });
  let refused = 0;
  for (const url of URLS) {
    try {
      expectNone(url.slice(0, 6), parseReplicaUrl(url).text);
    } catch (error) {
      refused += 1;
      expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
      expectNone(`parse ${url.slice(0, 6)}`, allOf(error));
    }
    const output = join(scratchFolder(), 'out.db');
    const error: unknown = await litestream
      .restore(url, { output, signal: AbortSignal.abort() })
      .catch((e: unknown) => e);
    expectNone(`restore ${url.slice(0, 6)}`, allOf(error));
  }
  expect(refused).toBeGreaterThan(SCHEMES.length * 5);
});

test('settings of a replica that are URLs, and the address of the heartbeat', async () => {
  const registry = new PluginRegistry({ folder: import.meta.dirname });
  const settings: Readonly<Record<string, (url: string) => Record<string, string>>> = {
    s3: (url) => ({ bucket: 'b', region: 'r', endpoint: url, 'access-key-id': 'a', 'secret-access-key': 'b' }),
    gs: (url) => ({ bucket: 'b', endpoint: url }),
    abs: (url) => ({ bucket: 'b', 'account-name': 'a', 'account-key': 'YWFh', endpoint: url }),
    oss: (url) => ({ bucket: 'bucket', region: 'r', endpoint: url, 'access-key-id': 'a', 'secret-access-key': 'b' }),
    webdav: (url) => ({ 'webdav-url': url }),
    nats: (url) => ({ bucket: 'b', server: url.replace(/^http/, 'nats') }),
    sftp: (url) => ({ user: 'u', path: '/p', host: url }),
  };
  let count = 0;
  for (const [type, of] of Object.entries(settings)) {
    for (const shape of SHAPES.slice(0, 9)) {
      const url = `http://${shape(canary(type))}`;
      try {
        const spec = { type, settings: of(url) };
        await using client = await registry.createClient(spec, { env: {} }, { retry: { attemptCountMax: 1 } });
        await client.init();
        await Array.fromAsync(client.ltxFiles(0));
      } catch (error) {
        count += 1;
        expectNone(`${type}: ${url}`, `${allOf(error)}\n${describeError(error)}`);
      }
    }
  }
  expect(count).toBeGreaterThan(50);
  for (const url of SHAPES.flatMap((shape) =>
    ['https', 'ftp'].map((scheme) => `${scheme}://${shape(canary('beat'))}`),
  )) {
    try {
      parseConfig(`heartbeat-url: '${url}'\ndbs: []\n`, { file: 'c.yml', expandEnv: false });
    } catch (error) {
      expectNone(url, `${allOf(error)}\n${describeError(error)}`);
    }
  }
});

test('the command line', async () => {
  const folder = scratchFolder();
  const output = join(folder, 'out.db');
  const database = join(folder, 'app.db');
  createDatabase(database);
  const urls = [...URLS.slice(0, 5), ...MISWRITTEN.slice(0, 2), ...URLS.filter((url) => url.startsWith('file://u:x/'))];
  const lines = urls.flatMap((url, index) => {
    const each = [
      ['restore', '-o', output, url],
      ['ltx', url],
      ['replicate', '-once', database, url],
      ['restore', url],
      ['copy', url, `file://${folder}/copy`],
    ];
    // Each URL with a command, and each command with a URL.
    return [each[index % each.length] ?? []];
  });
  for (const args of lines) {
    const { exitCode, stdout, stderr } = await run(args, { env: { LOG_LEVEL: 'trace' } });
    if (!args.at(-1)?.startsWith('file:') && args[0] !== 'copy') expect(exitCode, args.join(' ')).toBe(1);
    expectNone(args.join(' '), `${stdout}\n${stderr}`);
  }
  expect(existsSync(output)).toBe(false);
});

test('a config, and a request over the control socket', async () => {
  const folder = scratchFolder();
  const socket = join(folder, 's.sock');
  const config = join(folder, 'litestream.yml');
  const database = join(folder, 'app.db');
  createDatabase(database);
  const broken = join(folder, 'broken.yml');
  for (const url of [URLS[0], URLS[3]]) {
    writeFileSync(broken, `logging: {level: trace}\ndbs: [{path: ${database}, replica: {url: '${url}'}}]\n`);
    for (const command of ['replicate', 'databases']) {
      const { exitCode, stdout, stderr } = await run([command, '-config', broken]);
      expect(exitCode).toBe(1);
      expectNone(command, `${stdout}\n${stderr}`);
    }
  }
  writeFileSync(
    config,
    `logging: {level: trace}\nsocket: {enabled: true, path: ${socket}}\ndbs: [{path: ${database}, replica: {path: ${folder}/replica}}]\n`,
  );
  const daemon = start(['replicate', '-config', config]);
  await daemon.said('control socket listening');
  const path = join(folder, 'new.db');
  createDatabase(path);
  for (const url of [...URLS.slice(0, SHAPES.length), ...MISWRITTEN.slice(0, 2)]) {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const outgoing = request({ socketPath: socket, path: '/register', method: 'POST', agent: false }, (response) => {
      text(response).then(resolve, reject);
    });
    outgoing.once('error', reject).end(JSON.stringify({ path, replica_url: url }));
    expectNone('register', await promise);
  }
  const { stdout, stderr } = await daemon.stop();
  expectNone('the log', `${stdout}\n${stderr}`);
});
