/** Two instances that replicate to one path of a bucket, on servers that keep conditions, and on some that do not. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { Litestream, restore } from '@litestream/core';
import type { Logger } from '@litestream/core';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { S3TestServer } from './s3-server.ts';
import { clientFor } from './support.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

let server: S3TestServer;
let folder: string;
const ends: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  server = await S3TestServer.start();
  folder = mkdtempSync(join(tmpdir(), 'litestream-s3-writers-'));
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end().catch(() => undefined);
  await server[Symbol.asyncDispose]();
  removeFolder(folder);
});

interface Instance {
  readonly loud: string[];
  /** Resolves to the code of a refusal. */
  readonly commit: (text: string) => Promise<unknown>;
  readonly texts: string[];
}

async function instance(path: string, texts: readonly string[]): Promise<Instance> {
  const app = new DatabaseSync(path);
  app.exec('PRAGMA journal_mode = wal; CREATE TABLE IF NOT EXISTS t (x TEXT)');
  const loud: string[] = [];
  const quiet = (): void => undefined;
  const add = (message: string): void => void loud.push(message);
  const logger: Logger = { trace: quiet, debug: quiet, info: quiet, warn: add, error: add, child: () => logger };
  const litestream = new Litestream({ logger });
  const database = await litestream.replicate(path, clientFor(server));
  const known = [...texts];
  ends.push(async () => {
    app.close();
    await litestream.stop({ finalSync: false });
  });
  const commit = async (text: string): Promise<unknown> => {
    app.prepare('INSERT INTO t VALUES (?)').run(text);
    known.push(text);
    return await database.replicated().then(
      () => undefined,
      (error: unknown) => (error as { code?: unknown }).code,
    );
  };
  return { loud, commit, texts: known };
}

async function restored(name: string): Promise<unknown[]> {
  const output = join(folder, name);
  await restore(clientFor(server), { output });
  const copy = new DatabaseSync(output, { readOnly: true });
  const texts = copy
    .prepare('SELECT x FROM t ORDER BY rowid')
    .all()
    .map(({ x }) => x);
  copy.close();
  return texts;
}

test.each([
  ['keeps conditions', undefined, 0],
  ['refuses them with 501', { status: 501, code: 'NotImplemented' }, 1],
  ['refuses them with 400', { status: 400, code: 'InvalidArgument' }, 1],
  ['ignores them', 'ignores', 1],
] as const)('one of the two stops where the server %s', async (_, how, warningCount) => {
  if (how === 'ignores') server.ignoresConditions = true;
  else if (how !== undefined) {
    server.fault = ({ headers }) => (headers['if-none-match'] === undefined ? undefined : { kind: 'status', ...how });
  }
  const old = await instance(join(folder, 'old.db'), []);
  for (let row = 0; row < 4; row++) expect(await old.commit(`old ${row}`)).toBeUndefined();
  await restored('new.db');
  const fresh = await instance(join(folder, 'new.db'), old.texts);

  let codes: unknown[] = [];
  // One after the other: at the same moment, a server without conditions can be of no help.
  for (let round = 0; round < 6; round++) {
    codes = [await old.commit(`old again ${round}`), await fresh.commit(`new ${round}`)];
  }
  expect(codes.filter((code) => code === undefined)).toHaveLength(1);
  expect(codes).toContain('REPLICA_CONFLICT');
  const [winner, loser] = codes[0] === undefined ? [old, fresh] : [fresh, old];
  const conflicts = ({ loud }: Instance): readonly string[] =>
    loud.filter((message) => message.startsWith('another process writes'));
  expect(conflicts(loser)).toHaveLength(1);
  expect(conflicts(winner)).toEqual([]);
  const warningsOf = ({ loud }: Instance): number =>
    loud.filter((message) => message.startsWith('this storage cannot')).length;
  expect(warningsOf(old)).toBe(warningCount);
  // The other one may have written nothing yet that would have told it.
  expect(warningsOf(fresh)).toBeLessThanOrEqual(warningCount);
  expect(await restored('latest.db')).toEqual(winner.texts);
  // Nothing but what a replica is made of is left.
  expect(server.keys().filter((key) => !/^app\/000\d\/[0-9a-f]{16}-[0-9a-f]{16}\.ltx$/.test(key))).toEqual([]);
  expect(server.uploads.size).toBe(0);
});
