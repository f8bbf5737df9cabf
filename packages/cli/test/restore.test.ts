import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  rmdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { countRows, createDatabase, insertRows } from './support/database.ts';
import { run, scratchFolder, start, until } from './support/cli.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

interface Replica {
  readonly folder: string;
  readonly path: string;
  readonly url: string;
  readonly output: string;
}

const name = (txid: number): string => {
  const hex = txid.toString(16).padStart(16, '0');
  return `${hex}-${hex}.ltx`;
};
const file = (replica: Replica, txid: number): string => join(replica.path, 'ltx/0', name(txid));

/** Transactions 1, 2 and 3 at level 0, with 1, 2 and 3 rows. */
async function threeTransactions(): Promise<Replica> {
  const folder = scratchFolder();
  const path = join(folder, 'replica');
  const database = join(folder, 'app.db');
  createDatabase(database, 1);
  const config = join(folder, 'litestream.yml');
  writeFileSync(config, `dbs: [{path: ${database}, replica: {path: ${path}, sync-interval: 10ms}}]\n`);
  const daemon = start(['replicate', '-config', config]);
  for (const txid of [1, 2, 3]) {
    await until(() => existsSync(join(path, 'ltx/0', name(txid))), `transaction ${txid} on the replica`);
    if (txid < 3) insertRows(database, 1);
  }
  expect((await daemon.stop()).exitCode).toBe(0);
  // Level 0 alone: what is damaged below must not be replaceable by a snapshot or a compacted file.
  for (const level of readdirSync(join(path, 'ltx'))) {
    if (level !== '0') removeFolder(join(path, 'ltx', level));
  }
  return { folder, path, url: `file://${path}`, output: join(folder, 'out.db') };
}

const refused = (message: string | RegExp): object => ({
  exitCode: 1,
  stdout: '',
  stderr: typeof message === 'string' ? `${message}\n` : expect.stringMatching(message),
});

describe('restore', () => {
  test('newest, by transaction, by time', async () => {
    const replica = await threeTransactions();
    const { url, output } = replica;
    const newest = await run(['restore', '-o', output, url]);
    expect(newest).toEqual({ exitCode: 0, stdout: expect.any(String), stderr: '' });
    expect(newest.stdout).toMatch(/^time=\S+ level=INFO msg=restored [^\n]* txid=0{15}3 [^\n]*\n$/);
    expect(countRows(output)).toBe(3);
    const txid = await run(['restore', '-force', '-txid', '0000000000000002', '-o', output, url]);
    expect(txid.exitCode).toBe(0);
    expect(countRows(output)).toBe(2);

    const listed = await run(['ltx', '-json', url]);
    const files = JSON.parse(listed.stdout) as { min_txid: string; timestamp: string; size: number; level: number }[];
    expect(files.map((each) => each.min_txid)).toEqual(['1', '2', '3'].map((id) => id.padStart(16, '0')));
    expect(files[0]).toMatchObject({ level: 0, timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) });

    const now = new Date().toISOString();
    expect((await run(['restore', '-force', '-timestamp', now, '-o', output, url])).exitCode).toBe(0);
    expect(countRows(output)).toBe(3);
  });

  test('summary and plan as JSON', async () => {
    const { url, output } = await threeTransactions();
    const plan = await run(['restore', '-dry-run', '-json', '-o', output, url]);
    expect(JSON.parse(plan.stdout)).toMatchObject({
      source: url,
      target_path: output,
      replica: 'file',
      min_txid: '0000000000000001',
      max_txid: '0000000000000003',
      files: [{ level: 0, name: name(1), size: expect.any(Number) }, { name: name(2) }, { name: name(3) }],
    });
    expect(existsSync(output)).toBe(false);
    const table = await run(['restore', '-dry-run', '-o', output, url]);
    expect(table.stdout).toMatch(
      /^Restore plan:\n {2}source: file:\/\/\S+\n {2}target: \S+\n {2}replica: file\n {2}txid range: 0{15}1 - 0{15}3\n\nFiles to fetch:\nlevel {2}file +min_txid +max_txid +size {2,}timestamp\n0 +0/,
    );

    const summary = await run(['restore', '-json', '-integrity-check', 'full', '-o', output, url]);
    expect(JSON.parse(summary.stdout)).toEqual({
      db_path: output,
      replica: 'file',
      txid: '0000000000000003',
      duration_ms: expect.any(Number),
      integrity_check: 'full',
      proven: true,
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      size: statSync(output).size,
    });
    expect(summary.stderr).toContain('msg="post-restore integrity check passed" replica=file');
  });

  test('to where the config says', async () => {
    const { folder } = await threeTransactions();
    const database = join(folder, 'app.db');
    for (const entry of readdirSync(folder)) if (entry.includes('app.db')) removeFolder(join(folder, entry));
    const args = ['restore', '-config', join(folder, 'litestream.yml')];
    expect((await run([...args, database])).exitCode).toBe(0);
    expect(countRows(database)).toBe(3);
    const again = await run([...args, '-if-db-not-exists', database]);
    expect(again).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('msg="database already exists, skipping"'),
    });
    expect(await run([...args, '/other.db'])).toEqual(
      refused(`Error: database not found in config: /other.db. The config has ${database}.`),
    );

    const unnamed = await run(args);
    expect(unnamed).toMatchObject({ exitCode: 1, stdout: '' });
    const [error, title, , row, advice] = unnamed.stderr.trimEnd().split('\n');
    expect([error, title]).toEqual(['Error: database path or replica URL required', 'What could be restored:']);
    expect(row).toContain(database);
    expect(row).toMatch(/0{15}1 \(20\S+Z\) to 0{15}3 \(20\S+Z\)$/);
    expect(advice).toBe('Try: litestream restore -o /path/to/db s3://bucket/prefix');
  });
});

describe('nothing is overwritten', () => {
  test('an existing database, side files, a folder', async () => {
    const { url, output, folder } = await threeTransactions();
    writeFileSync(output, 'precious');
    expect(await run(['restore', '-o', output, url])).toEqual(
      refused(
        `Error: cannot restore, output path already exists and is not empty: ${output}. Use -force to overwrite (\`overwrite: true\` in code), choose another output, or move the file away.`,
      ),
    );
    expect(readFileSync(output, 'utf8')).toBe('precious');
    rmSync(output);
    for (const suffix of ['-wal', '-shm', '-journal']) {
      writeFileSync(output + suffix, 'x');
      expect(await run(['restore', '-o', output, url])).toEqual(
        refused(
          `Error: cannot restore, SQLite sidecar path already exists: ${output}${suffix}. SQLite would apply it to the restored database. Move it away, or overwrite it with -force (\`overwrite: true\` in code).`,
        ),
      );
      rmSync(output + suffix);
    }
    mkdirSync(output);
    expect((await run(['restore', '-o', output, url])).stderr).toContain(`output path is a directory: ${output}.`);
    rmdirSync(output);
    symlinkSync('elsewhere.db', output);
    const forced = await run(['restore', '-force', '-o', output, url]);
    expect(forced).toEqual(refused(/^Error: cannot restore, output path is a symbolic link: .*\n$/));
    expect(readlinkSync(output)).toBe('elsewhere.db');
    expect(readdirSync(folder).filter((entry) => entry.endsWith('.tmp'))).toEqual([]);
  });
});

describe('what cannot be restored says what can', () => {
  test('a transaction or a time out of range', async () => {
    const { url, output } = await threeTransactions();
    expect(await run(['restore', '-txid', '0000000000000099', '-o', output, url])).toEqual(
      refused(
        /^Error: no matching backup files available: TXID 0000000000000099 is not in the replica: .*from 0{15}1 to 0{15}3\..*\n$/,
      ),
    );
    const early = await run(['restore', '-timestamp', '2001-01-01T00:00:00Z', '-o', output, url]);
    expect({ ...early, stdout: '' }).toEqual(
      refused(
        /^Error: timestamp does not exist: time 2001-01-01T00:00:00\.000Z is not in the replica: it reaches from 20\S+Z to 20\S+Z\..*\n$/,
      ),
    );
    expect(early.stdout).toMatch(
      /^time=\S+ level=INFO msg="restoring to a point in time" timestamp=2001-01-01T00:00:00.000Z [^\n]*\n$/,
    );
    expect(existsSync(output)).toBe(false);
  });

  test('an empty replica', async () => {
    const folder = scratchFolder();
    const args = ['-o', join(folder, 'out.db'), `file://${folder}/nothing-here`];
    expect(await run(['restore', ...args])).toEqual(
      refused(
        'Error: no matching backup files available: the replica holds no backups. Check the replica URL, and that replication to it has run at least once.',
      ),
    );
    const excused = await run(['restore', '-if-replica-exists', ...args]);
    expect(excused).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('msg="no matching backups found"') });
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a backend that nobody knows', async () => {
    const output = join(scratchFolder(), 'out.db');
    const { exitCode, stdout, stderr } = await run(['restore', '-o', output, 'acme://bucket/app']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(/^Error: no known package handles replicas of type acme\. Known types are abs, file, .*\n$/);
  });
});

describe('damaged replicas', () => {
  const damages: readonly [string, (replica: Replica) => void, RegExp][] = [
    ['cut off at its end', (replica) => truncateSync(file(replica, 2), 100), /0{15}2.ltx: /],
    ['cut off in its header', (replica) => truncateSync(file(replica, 2), 50), /0{15}2.ltx: is truncated/],
    ['empty', (replica) => truncateSync(file(replica, 2), 0), /0{15}2.ltx: is truncated/],
    [
      'no LTX file',
      (replica) => writeFileSync(file(replica, 2), 'x'.repeat(4096)),
      /0{15}2.ltx: does not start with "LTX1"/,
    ],
    [
      'another file',
      (replica) => cpSync(file(replica, 3), file(replica, 2)),
      /0{15}2.ltx: its header says that it holds TXIDs/,
    ],
    [
      'with a flipped bit',
      (replica) => {
        const bytes = readFileSync(file(replica, 2));
        const at = Math.floor(bytes.length / 2);
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        writeFileSync(file(replica, 2), bytes);
      },
      /0{15}2.ltx: /,
    ],
    [
      'missing',
      (replica) => rmSync(file(replica, 2)),
      /the replica has a gap: it is whole up to TXID 0{15}1, and its next file starts at 0{15}3/,
    ],
    [
      'the first, missing',
      (replica) => rmSync(file(replica, 1)),
      /the replica has a gap: its first file starts at TXID 0{15}2/,
    ],
  ];

  test.each(damages)('a file that is %s', async (_, damage, message) => {
    const replica = await threeTransactions();
    damage(replica);
    const { exitCode, stdout, stderr } = await run(['restore', '-o', replica.output, replica.url]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^Error: .*\n$/);
    expect(readdirSync(replica.folder).filter((entry) => entry.startsWith('out.db'))).toEqual([]);
  });

  test('foreign files beside are no harm', async () => {
    const replica = await threeTransactions();
    writeFileSync(join(replica.path, 'ltx/0/README'), 'not ours');
    writeFileSync(join(replica.path, 'ltx/0', `${name(4)}.tmp`), 'not finished');
    expect((await run(['restore', '-o', replica.output, replica.url])).exitCode).toBe(0);
    expect(countRows(replica.output)).toBe(3);
  });
});

describe('secrets', () => {
  const canary = 'canary-9f8e7d6c5b';

  test('of a config reach no output', async () => {
    const backends = [
      `{type: s3, bucket: b, endpoint: "http://127.0.0.1:1", region: r, access-key-id: ${canary}1, secret-access-key: ${canary}2}`,
      `{url: "s3://b/p?endpoint=http://127.0.0.1:1&secret-access-key=${canary}3&access-key-id=${canary}4"}`,
      `{type: abs, bucket: b, account-name: a, account-key: ${canary}5, endpoint: "http://127.0.0.1:1/a"}`,
      `{url: "sftp://user:${canary}6@127.0.0.1:1/p"}`,
      `{type: acme, password: ${canary}7, url: "acme://u:${canary}8@h/p"}`,
    ];
    const sayings = backends.map(async (replica) => {
      const folder = scratchFolder();
      const config = join(folder, 'litestream.yml');
      createDatabase(join(folder, 'app.db'));
      writeFileSync(config, `dbs: [{path: ${folder}/app.db, replica: ${replica}}]\n`);
      const daemon = start(['replicate', '-log-level', 'trace', '-config', config]);
      const results = await Promise.all([
        run(['databases', '-json', '-config', config]),
        run(['restore', '-config', config, '-o', join(folder, 'out.db'), join(folder, 'none.db')]),
      ]);
      // It has failed to start, or to reach its replica.
      await daemon.said(/^Error: |level=ERROR/m, replica.includes('acme') ? 'stderr' : 'stdout');
      daemon.child.kill('SIGINT');
      daemon.child.kill('SIGTERM');
      return [...results, await daemon.ended].map(({ stdout, stderr }) => stdout + stderr).join('\n');
    });
    for (const said of await Promise.all(sayings)) {
      expect(said.length).toBeGreaterThan(100);
      expect(said).not.toContain(canary);
    }
  });

  test('of the environment neither', async () => {
    const env = { AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: canary, LOG_LEVEL: 'debug' };
    const output = join(scratchFolder(), 'out.db');
    const { stderr } = await run(['restore', '-o', output, `acme://user:${canary}@host/${canary}`], { env });
    expect(stderr).toMatch(/^Error: /);
    expect(stderr).not.toContain(canary);
  });
});
