/** The parts of Litestream, and how a program replaces one. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { Container, Litestream, parts, silentLogger, systemClock } from '../src/index.ts';
import type { Logger, ReplicaClient } from '../src/index.ts';
import { token } from '../src/litestream/composition/container.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { until } from '../../../tests/support/wait.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const folder = temporaryFolder('composition');

function application(name: string): string {
  const path = join(folder, name);
  const database = new DatabaseSync(path);
  onTestFinished(() => database.close());
  database.exec('PRAGMA journal_mode = wal; CREATE TABLE t (x); INSERT INTO t VALUES (1)');
  return path;
}

test('makes a part once, in the container where it is registered', () => {
  const made: string[] = [];
  const word = token<string>('word');
  const sentence = token<{ readonly text: string }>('sentence');
  const root = new Container();
  root.register(word, () => 'root');
  root.register(sentence, (container) => {
    made.push('sentence');
    return { text: container.resolve(word) };
  });
  const child = root.child();
  child.registerValue(word, 'child');
  expect(child.resolve(word)).toBe('child');
  expect(root.resolve(word)).toBe('root');
  expect(child.resolve(sentence)).toBe(root.resolve(sentence));
  expect(child.resolve(sentence).text).toBe('root');
  expect(made).toEqual(['sentence']);
});

test('the last registration of a token counts, also if its value is undefined', () => {
  const word = token<string | undefined>('word');
  const root = new Container();
  root.registerValue(word, 'first');
  root.registerValue(word, undefined);
  expect(root.resolve(word)).toBeUndefined();
  root.registerValue(word, 'last');
  expect(root.child().resolve(word)).toBe('last');
});

test('an error names the part that is not registered', () => {
  const known = token<string>('word');
  const root = new Container();
  root.child().registerValue(known, 'of a child');
  new Container().registerValue(known, 'of another root');
  expect(() => root.resolve(known)).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT', message: 'no part is registered for word' }),
  );
});

test('a program replaces the clock, the logger and the client of one replica', async () => {
  const path = application('replaced.db');
  const calls: string[] = [];
  const lines: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    info: (message) => void lines.push(message),
    child: () => logger,
  };
  const watched = (client: ReplicaClient, name: string): ReplicaClient =>
    new Proxy(client, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (key === 'writeLtxFile') calls.push(name);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  const at = Date.UTC(2031, 0, 1);
  const levels: string[] = [];
  const litestream = new Litestream({
    composition: {
      root: (container) => {
        levels.push('root');
        container.registerValue(parts.logger, logger);
        container.registerValue(parts.clock, { ...systemClock, now: () => at });
      },
      database: (container) => void levels.push(container.resolve(parts.databaseSettings).path),
      replica: (container) => {
        const { name } = container.resolve(parts.replicaSettings);
        levels.push(name);
        if (name === 'memory') return;
        container.register(parts.client, () => watched(container.resolve(parts.fencedClient), name));
      },
    },
  });
  const replica = join(folder, 'replica');
  const db = await litestream.replicate(path, [replica, new MemoryClient()]);
  await db.replicated();
  expect(levels).toEqual(['root', path, replica, 'memory']);
  expect(new Set(calls)).toEqual(new Set([replica]));
  expect(db.status().replicas.map(({ lastSyncAt }) => lastSyncAt?.getTime())).toEqual([at, at]);
  await until('a log line was written', () => lines.length > 0);
  await litestream.stop();
});

test('a program replaces the factory of clients', async () => {
  const path = application('factory.db');
  const client = new MemoryClient();
  const asked: unknown[] = [];
  const litestream = new Litestream({
    composition: {
      root: (container) =>
        container.registerValue(parts.clientFactory, {
          open: (target) => {
            asked.push(target);
            return Promise.resolve({ client, name: 'mine', backend: 'mine', release: () => Promise.resolve() });
          },
        }),
    },
  });
  const db = await litestream.replicate(path, 'mine://anywhere');
  await db.replicated();
  expect(asked).toEqual(['mine://anywhere']);
  expect(db.status().replicas).toMatchObject([{ name: 'mine', type: 'memory' }]);
  await litestream.stop();
  const { output } = await new Litestream().restore(client, { output: join(folder, 'out.db') });
  const copy = new DatabaseSync(output);
  expect(copy.prepare('SELECT x FROM t').get()).toEqual({ x: 1 });
  copy.close();
});
