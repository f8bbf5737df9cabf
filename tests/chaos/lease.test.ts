/**
 * Two daemons and one replica with a lease, while both are stopped, killed and restarted, the lease is broken, and the store
 * loses answers and is slow: what was acknowledged stays, and there is one timeline.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { S3TestServer } from '../../packages/client-s3/test/s3-server.ts';
import { tail } from '../support/child.ts';
import type { Child } from '../support/child.ts';
import { tsProgram } from '../support/programs.ts';
import { Random, seedOf } from '../support/random.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { pause, until } from '../support/wait.ts';
import { removeFolder } from '../support/remove-folder.ts';

const seed = seedOf();
console.log(`leases under chaos: SEED=${seed}`);

const TTL_MS = 3000;
const ROUNDS = Number(process.env['LEASE_ROUNDS'] ?? 14);

interface Backend {
  readonly replica: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string>>;
  /** From now on some requests to the store fail, or none. */
  readonly trouble: (isOn: boolean) => void;
}

/** The rows that any of the daemons acknowledged. */
type Acknowledged = Set<string>;

/** A machine that runs one daemon after the other, and an application that commits to what the daemon has restored. */
class Host {
  readonly name: string;
  readonly path: string;
  readonly #folder: string;
  readonly #socket: string;
  readonly #config: string;
  readonly #env: NodeJS.ProcessEnv;
  #count = 0;
  daemon!: Child;
  isStopped = false;
  log = '';

  constructor(folder: string, name: string, backend: Backend) {
    this.name = name;
    this.#folder = join(folder, name);
    this.path = join(this.#folder, 'app.db');
    this.#socket = join(folder, `${name}.sock`);
    this.#config = join(folder, `${name}.yml`);
    this.#env = { ...process.env, ...backend.env };
    const replica = { ...backend.replica, 'sync-interval': '50ms', lease: { ttl: `${TTL_MS}ms`, owner: name } };
    const database = { path: this.path, 'restore-if-db-not-exists': true, replica };
    writeFileSync(this.#config, JSON.stringify({ socket: { enabled: true, path: this.#socket }, dbs: [database] }));
    mkdirSync(this.#folder);
  }

  start(): void {
    this.daemon = tsProgram(this.#env).replicate(this.#config);
  }

  /** Another process takes its place, with its disk or with an empty one. */
  async replace(how: 'killed' | 'stopped', keepsDisk: boolean): Promise<void> {
    this.daemon.signal('SIGCONT');
    this.daemon.signal(how === 'killed' ? 'SIGKILL' : 'SIGTERM');
    await this.daemon.exited;
    this.log += this.daemon.output;
    if (!keepsDisk) {
      removeFolder(this.#folder);
      mkdirSync(this.#folder);
    }
    this.isStopped = false;
    this.start();
  }

  /** Commits a row, if there is a database, and resolves to the row if it is acknowledged. */
  async commit(): Promise<string | undefined> {
    if (!existsSync(this.path)) return undefined;
    const row = `${this.name} ${this.#count++}`;
    try {
      const db = new DatabaseSync(this.path);
      try {
        db.exec('PRAGMA busy_timeout = 1000');
        db.prepare('INSERT INTO t VALUES (?)').run(row);
      } finally {
        db.close();
      }
    } catch {
      return undefined; // it is being restored, or a stopped daemon holds a lock
    }
    return (await this.#sync()) ? row : undefined;
  }

  #sync(): Promise<boolean> {
    const body = JSON.stringify({ path: this.path, wait: true, timeout: 20 });
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const outgoing = request({
      socketPath: this.#socket,
      path: '/sync',
      method: 'POST',
      agent: false,
      timeout: 25_000,
      headers: { Host: 'localhost', 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
    });
    outgoing.on('error', () => resolve(false));
    outgoing.on('timeout', () => outgoing.destroy());
    outgoing.on('response', (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    outgoing.end(body);
    return promise;
  }

  /** Commits one row after the other, until the signal is aborted. */
  async live(acknowledged: Acknowledged, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const row = await this.commit();
      if (row !== undefined) acknowledged.add(row);
      await pause(50, 'the pace of the application');
    }
  }

  cli(...args: string[]): Child {
    const [command = '', ...rest] = args;
    return tsProgram(this.#env).start(command, '-config', this.#config, ...rest, this.path);
  }
}

function rowsOf(path: string): string[] {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    return db
      .prepare('SELECT x FROM t ORDER BY rowid')
      .all()
      .map(({ x }) => String(x));
  } finally {
    db.close();
  }
}

/** Does one thing to a host, or nothing, and waits. */
async function round(hosts: readonly Host[], random: Random, breaks: boolean): Promise<void> {
  const host = random.pick(hosts);
  // An operator who breaks a lease accepts that a database that lacks acknowledged commits takes over.
  const keepsDisk = (): boolean => !breaks && random.chance(0.4);
  const dice = random.next();
  if (dice < 0.35) {
    host.daemon.signal('SIGSTOP');
    await pause(random.between(100, TTL_MS * 2.5), 'a process that is stopped, maybe past its term');
    host.daemon.signal('SIGCONT');
  } else if (dice < 0.6) await host.replace('killed', keepsDisk());
  else if (dice < 0.8) await host.replace('stopped', keepsDisk());
  else if (dice < 0.9 && breaks) await host.cli('lease', '-break').exited;
  else await pause(TTL_MS * 1.5, 'nothing happens');
  await pause(random.between(0, TTL_MS), 'the time between two events');
  await restartLost(hosts, keepsDisk);
}

/** Restarts a process that lost its lease, as a supervisor does when a process is no longer ready. */
async function restartLost(hosts: readonly Host[], keepsDisk: () => boolean): Promise<void> {
  for (const each of hosts) {
    if (/lease lost|PROMOTION_REFUSED|was acknowledged|acknowledged commits of an earlier/.test(each.daemon.output)) {
      await each.replace('stopped', keepsDisk());
    }
  }
}

/** Resolves to the acknowledged rows that the replica lacks in the end. */
async function chaos(folder: string, backend: Backend): Promise<readonly string[]> {
  const random = new Random(seed);
  const breaks = random.chance(0.5);
  const hosts = ['a', 'b'].map((name) => new Host(folder, name, backend));
  const [first] = hosts as [Host, Host];
  const seedDb = new DatabaseSync(first.path);
  seedDb.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x)');
  seedDb.close();
  const acknowledged: Acknowledged = new Set();
  const stop = new AbortController();
  try {
    first.start();
    await until('a first acknowledgement', async () => {
      const row = await first.commit();
      if (row !== undefined) acknowledged.add(row);
      return row !== undefined;
    });
    hosts[1]?.start();
    const apps = hosts.map((host) => host.live(acknowledged, stop.signal));
    backend.trouble(true);
    for (let count = 0; count < ROUNDS; count += 1) await round(hosts, random, breaks);
    backend.trouble(false);
    // In the end, one of them replicates in any case.
    const before = acknowledged.size;
    const failed = (): string => hosts.map(({ log, daemon }) => tail(log + daemon.output)).join('\n--\n');
    try {
      await until('an acknowledgement in the end', async () => {
        // A process may also lose its lease after the last round.
        await restartLost(hosts, () => false);
        return acknowledged.size > before + 1;
      });
    } catch (error) {
      throw new Error(failed(), { cause: error });
    }
    stop.abort();
    await Promise.all(apps);
    const output = join(folder, 'restored.db');
    await first.cli('restore', '-o', output).done();
    const rows = rowsOf(output);
    const missing = [...acknowledged].filter((row) => !rows.includes(row));
    if (missing.length > 0) console.error(failed());
    expect(new Set(rows).size).toBe(rows.length);
    console.log(`${acknowledged.size} acknowledged rows of ${rows.length}`);
    return missing;
  } finally {
    stop.abort();
    for (const { daemon } of hosts) {
      daemon?.signal('SIGCONT');
      await daemon?.kill();
    }
  }
}

test('on a folder, nothing that was acknowledged is lost', { timeout: 900_000 }, async () => {
  await using folder = await temporaryFolder('lease-chaos');
  const replica = { path: join(folder.path, 'replica') };
  expect(await chaos(folder.path, { replica, env: {}, trouble: () => undefined })).toEqual([]);
});

test(
  'on s3 that loses answers, fails, and is slow, nothing that was acknowledged is lost',
  { timeout: 900_000 },
  async () => {
    await using folder = await temporaryFolder('lease-chaos');
    await using server = await S3TestServer.start();
    const random = new Random(seed + 1);
    const missing = await chaos(folder.path, {
      replica: {
        type: 's3',
        bucket: 'litestream',
        path: 'lease',
        endpoint: server.endpoint,
        region: 'us-east-1',
        'access-key-id': server.accessKeyId,
        'secret-access-key': server.secretAccessKey,
        'force-path-style': true,
      },
      env: { AWS_EC2_METADATA_DISABLED: 'true' },
      trouble: (isOn) => {
        server.fault = async ({ method, key }) => {
          if (!isOn) return undefined;
          const dice = random.next();
          // Requests that arrive late, from processes that may have ended, or lost the lease.
          if (method === 'PUT' && dice < 0.05)
            await pause(random.between(0, TTL_MS * 1.5), 'a request that is on its way');
          else if (method === 'PUT' && dice < 0.12) return { kind: 'cut', afterBytes: 0 };
          else if (key.endsWith('lock.json') && dice < 0.2) return { kind: 'status', status: 503, code: 'SlowDown' };
          else if (dice < 0.22) return { kind: 'reset' };
          return undefined;
        };
      },
    });
    expect(missing).toEqual([]);
  },
);
