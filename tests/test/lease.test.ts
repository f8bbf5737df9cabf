/** Two daemons and one replica with a lease: deploys, stopped processes and broken leases, with the real command. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run, scratchFolder, start } from '../../packages/cli/test/support/cli.ts';
import type { Cli } from '../../packages/cli/test/support/cli.ts';
import { S3TestServer } from '../../packages/client-s3/test/s3-server.ts';
import { until } from '../support/wait.ts';

/**
 * Term of a lease that is to expire in a test. The holder renews it every 5 s, so a busy machine may stop it for 10 s, and it
 * still has the lease.
 */
const SHORT = '15s';

/** Busy timeout of the application. Longer than the machine may pause a daemon that holds the write lock. */
const BUSY_MS = 60_000;

/** A program for -exec. It does not inherit the pipes of the test, because it outlives a killed daemon. */
const PROGRAM = `sh -c 'exec sleep 100 > /dev/null 2>&1'`;

interface Backend {
  /** The replica of a config, without its lease. */
  readonly replica: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string>>;
}

let server: S3TestServer;
beforeAll(async () => {
  server = await S3TestServer.start();
});
afterAll(async () => await server[Symbol.asyncDispose]());

let places = 0;
const BACKENDS: readonly (readonly [string, (folder: string) => Backend])[] = [
  ['file', (folder) => ({ replica: { path: join(folder, 'replica') }, env: {} })],
  [
    's3',
    () => ({
      // Another server may be named, to run this on a real one: it has a bucket `litestream`.
      replica: {
        type: 's3',
        bucket: 'litestream',
        path: `lease-${process.pid}-${places++}`,
        endpoint: process.env['LEASE_S3_ENDPOINT'] ?? server.endpoint,
        region: 'us-east-1',
        'access-key-id': server.accessKeyId,
        'secret-access-key': server.secretAccessKey,
        'force-path-style': true,
      },
      env: { AWS_EC2_METADATA_DISABLED: 'true' },
    }),
  ],
];

/** One of the processes, with its own folder, as if on its own machine. */
class Instance {
  readonly path: string;
  readonly config: string;
  readonly #name: string;
  readonly #socket: string;
  readonly #env: Readonly<Record<string, string>>;
  #count = 0;
  /** The rows that are on the replica, by `sync -wait`. */
  readonly acknowledged: string[] = [];
  daemon!: Cli;

  constructor(
    folder: string,
    name: string,
    backend: Backend,
    { ttl = '60s', ...more }: { readonly ttl?: string; readonly exec?: string; readonly addr?: string } = {},
  ) {
    mkdirSync(join(folder, name));
    this.#name = name;
    this.#env = backend.env;
    this.path = join(folder, name, 'app.db');
    this.config = join(folder, `${name}.yml`);
    this.#socket = join(folder, `${name}.sock`);
    const replica = { ...backend.replica, 'sync-interval': '50ms', lease: { ttl, owner: name } };
    const database = { path: this.path, 'restore-if-db-not-exists': true, replica };
    const config = { socket: { enabled: true, path: this.#socket }, dbs: [database], ...more };
    writeFileSync(this.config, JSON.stringify(config));
  }

  async start(): Promise<Cli> {
    this.daemon = start(['replicate', '-config', this.config], { env: this.#env });
    await this.daemon.said('control socket listening');
    return this.daemon;
  }

  create(): void {
    const db = new DatabaseSync(this.path);
    db.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x)');
    db.close();
  }

  /** Commits a row. True if it is acknowledged: then it must never be lost. */
  async commit(): Promise<boolean> {
    const row = `${this.#name} ${this.#count++}`;
    const db = new DatabaseSync(this.path);
    db.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
    db.prepare('INSERT INTO t VALUES (?)').run(row);
    db.close();
    const isAcknowledged = await this.#sync();
    if (isAcknowledged) this.acknowledged.push(row);
    return isAcknowledged;
  }

  async #sync(): Promise<boolean> {
    const { exitCode } = await run(['sync', '-wait', '-timeout', '60', '-socket', this.#socket, this.path]);
    return exitCode === 0;
  }

  /** Resolves once it has the lease, and one of its commits is acknowledged. */
  async replicates(): Promise<void> {
    await until(`${this.#name} to replicate`, async () => existsSync(this.path) && (await this.#sync()));
    if (!(await this.commit())) throw new Error(`${this.#name} does not replicate`);
  }

  async restored(folder: string): Promise<readonly unknown[]> {
    const output = join(folder, `restored-${places++}.db`);
    const { stderr, exitCode } = await run(['restore', '-config', this.config, '-o', output, this.path], {
      env: this.#env,
    });
    if (exitCode !== 0) throw new Error(stderr);
    return rowsOf(output);
  }

  async lease(...flags: readonly string[]): Promise<Record<string, unknown>> {
    const { stdout } = await run(['lease', '-json', '-config', this.config, ...flags, this.path], { env: this.#env });
    return JSON.parse(stdout) as Record<string, unknown>;
  }
}

function rowsOf(path: string): readonly unknown[] {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const rows = db.prepare('SELECT x FROM t ORDER BY rowid').all();
    return rows.map(({ x }) => x);
  } finally {
    db.close();
  }
}

describe.each(BACKENDS)('on %s', (_, place) => {
  test('a deploy hands over: the successor waits, restores, and starts its program then', async () => {
    const folder = scratchFolder();
    const backend = place(folder);
    const old = new Instance(folder, 'old', backend);
    old.create();
    await old.start();
    await old.replicates();
    expect(await old.lease()).toMatchObject({ held: true, generation: 1, owner: 'old' });

    const seen = join(folder, 'seen');
    const fresh = new Instance(folder, 'fresh', backend);
    const program = join(folder, 'program.mjs');
    writeFileSync(
      program,
      `import { writeFileSync } from 'node:fs';
       import { DatabaseSync } from 'node:sqlite';
       const rows = new DatabaseSync(${JSON.stringify(fresh.path)}).prepare('SELECT x FROM t').all().map(({ x }) => x);
       writeFileSync(${JSON.stringify(seen)}, JSON.stringify(rows));
       setInterval(() => undefined, 1000);`,
    );
    writeFileSync(
      fresh.config,
      JSON.stringify({
        ...(JSON.parse(readFileSync(fresh.config, 'utf8')) as object),
        exec: `${process.execPath} ${program}`,
      }),
    );
    const daemon = await fresh.start();
    await daemon.said('msg="waiting for the lease"');
    expect(daemon.stdout).toMatch(/msg="waiting for the lease".* generation=1 since=\S+ expires=\S+ owner=old/);
    // Acknowledged while the successor waits.
    expect(await old.commit()).toBe(true);
    expect(existsSync(fresh.path)).toBe(false);
    expect((await old.daemon.stop()).exitCode).toBe(0);
    const rows = await until('the program of the successor', () => {
      if (!existsSync(seen)) return undefined;
      const text = readFileSync(seen, 'utf8');
      return text.endsWith(']') ? (JSON.parse(text) as string[]) : undefined;
    });
    expect(rows).toEqual(old.acknowledged);
    await fresh.replicates();
    expect(await fresh.lease()).toMatchObject({ held: true, generation: 2, owner: 'fresh' });
    expect(await fresh.restored(folder)).toEqual([...old.acknowledged, ...fresh.acknowledged]);
    expect((await daemon.stop()).exitCode).toBe(0);
    expect(await fresh.lease()).toMatchObject({ held: false, generation: 2 });
    expect(old.daemon.stdout + daemon.stdout).not.toMatch(/level=(ERROR|WARN)/);
  });

  test('a process that was stopped until its lease expired acknowledges nothing more, and nothing acknowledged is lost', async () => {
    const folder = scratchFolder();
    const backend = place(folder);
    const old = new Instance(folder, 'old', backend, { ttl: SHORT });
    old.create();
    await old.start();
    await old.replicates();
    const fresh = new Instance(folder, 'fresh', backend, { ttl: SHORT });
    const daemon = await fresh.start();
    await daemon.said('waiting for the lease');
    expect(await old.commit()).toBe(true);
    // In the middle of its work, maybe of an upload.
    const underWay = old.commit();
    old.daemon.child.kill('SIGSTOP');
    await daemon.said('taking over an expired lease');
    await fresh.replicates();
    old.daemon.child.kill('SIGCONT');
    await Promise.all([underWay, old.commit(), fresh.commit()]);
    await old.daemon.said('lease lost, commits of this database are no longer replicated');
    expect(await old.commit()).toBe(false);
    expect(await fresh.commit()).toBe(true);
    const rows = await fresh.restored(folder);
    expect(rows).toEqual(expect.arrayContaining([...old.acknowledged, ...fresh.acknowledged]));
    // One line: what the successor has.
    expect(rows).toEqual(rowsOf(fresh.path));
    const { stdout } = await old.daemon.stop();
    expect(stdout.match(/level=ERROR msg="lease lost, commits/g)).toHaveLength(1);
    expect(await fresh.commit()).toBe(true);
    const told = await daemon.stop();
    expect(told.exitCode).toBe(0);
    expect(told.stdout).not.toContain('level=ERROR');
  });
});

test('a process is not promoted if its database lacks acknowledged commits', async () => {
  const folder = scratchFolder();
  const backend = BACKENDS[0]![1](folder);
  const old = new Instance(folder, 'old', backend);
  old.create();
  await old.start();
  await old.replicates();
  // Like an entry point that restores before it starts litestream.
  const early = new Instance(folder, 'early', backend, { exec: PROGRAM });
  expect((await run(['restore', '-config', old.config, '-o', early.path, old.path])).exitCode).toBe(0);
  expect(await old.commit()).toBe(true);
  await early.start();
  await early.daemon.said('waiting for the lease');
  expect((await old.daemon.stop()).exitCode).toBe(0);
  const { exitCode, stdout, stderr } = await early.daemon.ended;
  expect(exitCode).toBe(1);
  expect(stderr + stdout).toMatch(/the state of the database is not known/);
  expect(stderr).toContain('restore-if-db-not-exists');
  // It released the lease, and kept the acknowledged TXID.
  expect(await old.lease()).toMatchObject({
    held: false,
    acknowledged_txid: expect.stringMatching(/^0{14}/) as string,
  });
  expect(await old.restored(folder)).toEqual(old.acknowledged);

  // The operator breaks the lease, so that it may continue.
  await old.lease('-break');
  await early.start();
  await early.daemon.said('lease acquired');
  await early.replicates();
  expect((await early.daemon.stop()).exitCode).toBe(0);
});

test('files that are missing from the replica are detected before a process writes to it', async () => {
  const folder = scratchFolder();
  const backend = BACKENDS[0]![1](folder);
  const old = new Instance(folder, 'old', backend);
  old.create();
  await old.start();
  await old.replicates();
  expect((await old.daemon.stop()).exitCode).toBe(0);
  const content = readFileSync(join(folder, 'replica', 'lock.json'), 'utf8');
  writeFileSync(
    join(folder, 'replica', 'lock.json'),
    content.replace(/"acknowledged_txid":"0{15}./, '"acknowledged_txid":"00000000000000ff'),
  );
  const fresh = new Instance(folder, 'fresh', backend, { exec: PROGRAM });
  await fresh.start();
  const { exitCode, stderr } = await fresh.daemon.ended;
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/the replica ends at TXID 0{15}\d, but TXID 00000000000000ff was acknowledged/);
  expect(existsSync(fresh.path)).toBe(false);
});

test('a lease that is broken ends the program of -exec, and litestream with it', async () => {
  const folder = scratchFolder();
  const backend = BACKENDS[0]![1](folder);
  const old = new Instance(folder, 'old', backend, { exec: PROGRAM, ttl: SHORT });
  old.create();
  await old.start();
  await old.replicates();
  expect(await old.lease('-break')).toMatchObject({ owner: 'old', generation: 1 });
  const { exitCode, stdout } = await old.daemon.ended;
  expect(exitCode).toBe(1);
  expect(stdout).toContain('lease lost, stopping the exec process');
});

test('nothing that is acknowledged while an operator breaks the lease of a live holder is lost', async () => {
  const folder = scratchFolder();
  const backend = BACKENDS[0]![1](folder);
  const old = new Instance(folder, 'old', backend, { ttl: SHORT });
  old.create();
  await old.start();
  await old.replicates();
  const fresh = new Instance(folder, 'fresh', backend, { ttl: SHORT });
  await fresh.start();
  await fresh.daemon.said('waiting for the lease');
  await old.lease('-break');
  // It finds out at its next renewal, and acknowledges until then.
  while (await old.commit());
  await old.daemon.said('lease lost');
  await fresh.replicates();
  expect(await fresh.restored(folder)).toEqual(expect.arrayContaining([...old.acknowledged, ...fresh.acknowledged]));
  expect((await fresh.daemon.stop()).exitCode).toBe(0);
}, 180_000);

test('the first holder is killed right after its first acknowledgement: another database does not replace its commits', async () => {
  const folder = scratchFolder();
  const backend = BACKENDS[0]![1](folder);
  // A third of its term is far away when it is killed, so it has not renewed its lease.
  const old = new Instance(folder, 'old', backend, { ttl: '15s' });
  old.create();
  await old.start();
  await until('the first acknowledgement', () => old.commit());
  await old.daemon.stop('SIGKILL');
  const other = new Instance(folder, 'other', backend, { ttl: '15s', exec: PROGRAM });
  other.create();
  await other.start();
  const { exitCode, stderr } = await other.daemon.ended;
  expect(exitCode).toBe(1);
  expect(stderr).toContain('acknowledged commits of an earlier holder of the lease');
  expect(await old.restored(folder)).toEqual(expect.arrayContaining(old.acknowledged));
}, 180_000);

test('a lock.json that is no lease is reported, kept, and replaced by -break', async () => {
  const text = '{"generation":3,"expires_at":';
  const folder = scratchFolder();
  const backend = BACKENDS[0]![1](folder);
  const path = join(folder, 'replica', 'lock.json');
  mkdirSync(join(folder, 'replica'));
  writeFileSync(path, text);
  const only = new Instance(folder, 'only', backend, { ttl: SHORT });
  only.create();
  await only.start();
  await only.daemon.said(/level=WARN msg="cannot ask for the lease, trying again".*lock\.json is not a lease/);
  expect(readFileSync(path, 'utf8')).toBe(text);
  expect((await run(['lease', '-config', only.config, only.path])).stderr).toContain('litestream lease -break');
  expect(await only.lease('-break')).toMatchObject({ held: false, generation: 0 });
  expect(readFileSync(path, 'utf8')).toContain('broken_at');
  await only.daemon.said('lease acquired');
  await only.replicates();
  expect((await only.daemon.stop()).exitCode).toBe(0);
}, 180_000);

test('status, readiness and metrics show the state of the lease', async () => {
  const folder = scratchFolder();
  const backend = BACKENDS[0]![1](folder);
  const addr = '127.0.0.1:0';
  const old = new Instance(folder, 'old', backend, { addr, ttl: SHORT });
  old.create();
  await old.start();
  await old.replicates();
  const fresh = new Instance(folder, 'fresh', backend, { addr, ttl: SHORT });
  await fresh.start();
  await fresh.daemon.said('waiting for the lease');
  const [of, at] = [await shown(old), await shown(fresh)];
  expect(of).toMatchObject({ ready: 200, state: 'open', lease: { state: 'held', holder: 'old', generation: 1 } });
  expect(of.metrics).toMatch(/litestream_lease_held\{db="\S+",replica="\S+"\} 1\n/);
  // A standby is ready, so that a rolling deploy continues.
  expect(at).toMatchObject({ ready: 200, state: 'standby', lease: { state: 'waiting', holder: 'old' } });
  expect(at.metrics).toMatch(/litestream_lease_held\{db="\S+",replica="\S+"\} 0\n/);

  await old.lease('-break');
  await old.daemon.said('lease lost');
  expect(await shown(old)).toMatchObject({ ready: 503, lease: { state: 'lost' } });
  await fresh.replicates();
  expect(await shown(fresh)).toMatchObject({ ready: 200, lease: { state: 'held', generation: 2 } });
});

async function shown({ daemon }: Instance): Promise<Record<string, unknown> & { readonly metrics: string }> {
  await daemon.said(/serving metrics on" url=\S+/);
  const url = /serving metrics on" url=(\S+)\/metrics/.exec(daemon.stdout)?.[1] ?? '';
  const ready = await fetch(`${url}/readyz`);
  const status = (await (await fetch(`${url}/api/status`)).json()) as {
    databases: { state: string; replicas: { lease: unknown }[] }[];
  };
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const [database] = status.databases;
  return { ready: ready.status, state: database?.state, lease: database?.replicas[0]?.lease, metrics };
}

test('a backend without conditions is refused with an error that names it', async () => {
  const folder = scratchFolder();
  const replica = { type: 'sftp', host: '127.0.0.1:1', user: 'u', password: 'p', path: '/app' };
  const daemon = new Instance(folder, 'only', { replica, env: {} });
  const { exitCode, stderr } = await run(['replicate', '-config', daemon.config]);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/sftp: this backend has no conditional writes, so leases are not possible/);
});

test('-once waits for a lease at most until it would expire, and releases it', async () => {
  const folder = scratchFolder();
  const backend = BACKENDS[0]![1](folder);
  const old = new Instance(folder, 'old', backend, { ttl: SHORT });
  old.create();
  const once = ['replicate', '-once', '-config', old.config];
  expect((await run(once)).exitCode).toBe(0);
  expect(await old.lease()).toMatchObject({ held: false, generation: 1 });
  await old.start();
  await old.replicates();
  const fresh = new Instance(folder, 'fresh', backend, { ttl: SHORT });
  const { exitCode, stderr } = await run(['replicate', '-once', '-config', fresh.config]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('the lease is held by old until');
});
