/** Errors that a library throws where nothing can catch them: they affect one replica, never the process. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run, scratchFolder, start, until } from './support/cli.ts';
import type { Cli } from './support/cli.ts';
import { createDatabase, insertRows } from './support/database.ts';
import { hasFiles } from './support/replica.ts';

const SECRET = 'canary-of-a-stray-7731';

/**
 * A client whose calls never end, as after an answer that its SDK cannot read: the error comes elsewhere. Takes one of
 * `strays` a call, and works once there are none left.
 */
function plugin(strays: readonly string[]): string {
  return `
import { file } from ${JSON.stringify(import.meta.resolve('@litestream/core'))};
import { EventEmitter } from 'node:events';
import { createServer, get } from 'node:http';
const strays = [${strays.map((each) => `() => { ${each} }`).join(', ')}];
const never = new Promise(() => undefined);
const create = (config, context) => {
  const client = file().create(config, context);
  const write = client.writeLtxFile.bind(client);
  client.writeLtxFile = async (...args) => {
    const stray = strays.shift();
    if (stray === undefined) return await write(...args);
    stray();
    await never;
  };
  return client;
};
export default { ...file(), name: 'sdk', schemes: ['sdk'], types: ['sdk'], create };`;
}

const kinds: Readonly<Record<string, string>> = {
  'a timer': `setTimeout(() => { throw new Error('from a timer') }, 1)`,
  'a promise that nothing awaits': `void Promise.resolve().then(() => { throw new Error('from a promise ${SECRET}') })`,
  'an event without a listener': `setImmediate(() => new EventEmitter().emit('error', new Error('from an event')))`,
  'an answer of a server': `const server = createServer((_, response) => response.end('null')).listen(0, () =>
      get({ port: server.address().port }, (response) => response.on('end', () => {
        server.close();
        throw new Error('from an answer');
      }).resume()))`,
  null: `setTimeout(() => { throw null }, 1)`,
  'an object without a prototype': `void Promise.reject(Object.create(null))`,
  'an object that throws when it is read': `setTimeout(() => {
      throw new Proxy({}, { get() { throw new Error('read') }, getPrototypeOf() { throw new Error('read') } });
    }, 1)`,
  'an error whose message is no text': `setTimeout(() => { throw Object.assign(new Error(), { message: { a: 1 } }) }, 1)`,
};

interface Setup {
  readonly folder: string;
  readonly config: string;
  readonly daemon: () => Cli;
}

function setup(strays: readonly string[]): Setup {
  const folder = scratchFolder();
  for (const name of ['a', 'b']) createDatabase(join(folder, `${name}.db`));
  writeFileSync(join(folder, 'sdk.mjs'), plugin(strays));
  const config = join(folder, 'litestream.yml');
  writeFileSync(
    config,
    `plugins: [./sdk.mjs]
secret-access-key: ${SECRET}
dbs:
  - {path: ${folder}/a.db, replica: {type: sdk, path: ${folder}/replica-a, sync-interval: 20ms}}
  - {path: ${folder}/b.db, replica: {path: ${folder}/replica-b, sync-interval: 20ms}}
`,
  );
  return { folder, config, daemon: () => start(['replicate', '-config', config]) };
}

const STRAY = 'msg="unexpected error in a library, replication continues"';

describe('a daemon', () => {
  test('names the replica, tries its call again at once, and replicates everything', async () => {
    const at = setup(Object.values(kinds));
    const daemon = at.daemon();
    // A call that got no answer would be ended by its time limit only, five minutes later.
    await until(() => hasFiles(join(at.folder, 'replica-a')), 'files on the replica with the strays');
    insertRows(join(at.folder, 'b.db'), 1);
    await until(() => hasFiles(join(at.folder, 'replica-b')), 'files on the other replica');
    const { exitCode, stdout, stderr } = await daemon.stop();
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).not.toContain(SECRET);
    const lines = stdout.split('\n').filter((line) => line.includes(STRAY));
    for (const text of ['from a timer', 'from a promise', 'from an event', 'from an answer']) {
      expect(lines.filter((line) => line.includes(text))).toEqual([
        expect.stringMatching(/level=ERROR .*db=a\.db replica=sdk:\/\/\S*replica-a .*operation=writeLtxFile/),
      ]);
    }
  });

  test('goes on beside strays without an end, and bounds what it logs of them', async () => {
    const flood = `let left = 5000; const next = () => { if (left-- > 0) setImmediate(next); throw new Error('flood ' + left); }; next2(next)`;
    const at = setup([flood.replace('next2(next)', 'setImmediate(next)')]);
    const daemon = at.daemon();
    await until(() => hasFiles(join(at.folder, 'replica-a')), 'files on the replica with the strays');
    await until(() => hasFiles(join(at.folder, 'replica-b')), 'files on the other replica');
    const { exitCode, stdout } = await daemon.stop();
    expect(exitCode).toBe(0);
    const lines = stdout.split('\n').filter((line) => line.includes(STRAY));
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThan(500);
    expect(stdout).toMatch(/left_out=\d+/);
  });
});

test.each(['ltx', 'restore'])('a stray error of %s is an error of the command, without secrets', async (command) => {
  const at = setup([]);
  const stray = `
import { file } from ${JSON.stringify(import.meta.resolve('@litestream/core'))};
const create = (config, context) => {
  setTimeout(() => { throw Object.assign(new Error('the key ${SECRET} was refused'), { request: '${SECRET}' }) }, 1);
  return Object.assign(file().create(config, context), { init: () => new Promise(() => undefined) });
};
export default { ...file(), name: 'sdk', schemes: ['sdk'], types: ['sdk'], create };`;
  writeFileSync(join(at.folder, 'sdk.mjs'), stray);
  const args = command === 'ltx' ? [] : ['-o', join(at.folder, 'copy.db')];
  const result = await run([command, '-config', at.config, ...args, join(at.folder, 'a.db')]);
  expect(result.exitCode).toBe(1);
  expect(result.stderr).toMatch(/^Error: .*the key \S+ was refused/);
  expect(result.stderr + result.stdout).not.toContain(SECRET);
});
