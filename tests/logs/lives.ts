/**
 * Lives that either program can live, each in a new folder: what is compared is what they log. Together they say nearly
 * every line that a user of the original can meet.
 */
import { cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Child } from '../support/child.ts';
import { copyFixtureReplica } from '../support/fixture.ts';
import type { Program } from '../support/programs.ts';
import { fileUrl } from '../support/programs.ts';
import { giveBack, makeRemovable, takeAway } from '../support/removable.ts';
import { copyV3Fixture, loadV3Fixtures } from '../support/v3-fixture.ts';
import { LogReader } from './log-reader.ts';
import { removeFolder } from '../support/remove-folder.ts';

export type LogFormat = 'text' | 'json';

export interface LifeContext {
  readonly program: Program;
  /** New and empty. */
  readonly folder: string;
  readonly format: LogFormat;
}

export interface Life {
  readonly name: string;
  /** Lived with `type: json` and `source` too; those that are not say nothing of another kind. */
  readonly json?: boolean;
  /** What either program must log in it, whatever else it does. */
  readonly says: readonly string[];
  /** Gives the output of the programs that ran. */
  readonly live: (context: LifeContext) => Promise<string>;
}

const start = ['litestream', 'initialized db', 'replicating to', 'starting compaction monitor'];
const stop = ['signal received, litestream shutting down', 'litestream shut down'];

export const lives: readonly Life[] = [
  {
    name: 'levels, checkpoints, retention, a replica that fails for a while',
    json: true,
    says: [
      ...start,
      ...stop,
      'control socket listening',
      'serving metrics on',
      'starting L0 retention monitor',
      'starting validation monitor',
      'sync',
      'replica sync',
      'ltx file uploaded',
      'checkpoint',
      'compaction complete',
      'snapshot complete',
      'encode snapshot header',
      'enforcing snapshot retention',
      'l0 retention scan complete',
      'l0 retention enforced',
      'monitor error',
      'replica sync recovered',
    ],
    async live(context) {
      const { replica, database } = place(context.folder);
      makeRemovable(replica);
      writeConfig(context, {
        extra: `addr: 127.0.0.1:0\nsocket:\n  enabled: true\n  path: ${context.folder}/s.sock\nvalidation:\n  interval: 1s\n`,
      });
      using app = new App(database);
      await using daemon = context.program.replicate(join(context.folder, 'litestream.yml'));
      const log = new LogReader(daemon);
      await log.shows(['ltx file uploaded']);
      app.write(30, 4000);
      await log.shows(['compaction complete', 'snapshot complete', 'checkpoint', 'l0 retention enforced'], () =>
        app.write(),
      );
      await log.shows(['enforcing snapshot retention', 'deleting expired local l0 file'], () => app.write());
      takeAway(replica);
      await log.shows(['monitor error'], () => app.write());
      giveBack(replica);
      await log.shows(['replica sync recovered'], () => app.write());
      return await ended(daemon);
    },
  },
  {
    name: 'the local files cannot be written for a while',
    says: ['sync error', 'sync recovered'],
    async live(context) {
      const { database } = place(context.folder);
      // Not the metadata folder itself: a link is refused in its place.
      const parent = join(context.folder, 'aside');
      makeRemovable(parent);
      writeConfig(context, { perDatabase: `    meta-path: ${join(parent, 'local')}\n` });
      using app = new App(database);
      await using daemon = context.program.replicate(join(context.folder, 'litestream.yml'));
      const log = new LogReader(daemon);
      await log.shows(['ltx file uploaded']);
      takeAway(parent);
      await log.shows(['sync error'], () => app.write());
      giveBack(parent);
      await log.shows(['sync recovered'], () => app.write());
      return await ended(daemon);
    },
  },
  {
    name: 'stopped while the replica is away',
    json: true,
    says: ['shutdown sync failed, retrying'],
    async live(context) {
      const { replica, database } = place(context.folder);
      makeRemovable(replica);
      // Long enough for a second attempt, even if the machine pauses the daemon meanwhile.
      writeConfig(context, { extra: 'shutdown-sync-timeout: 15s\n' });
      using app = new App(database);
      await using daemon = context.program.replicate(join(context.folder, 'litestream.yml'));
      const log = new LogReader(daemon);
      await log.shows(['ltx file uploaded']);
      takeAway(replica);
      await log.shows(['monitor error'], () => app.write());
      return await ended(daemon);
    },
  },
  {
    name: 'a program under -exec, and a signal to it',
    says: ['subprocess exited, litestream shutting down', ...stop],
    async live(context) {
      const { database } = place(context.folder);
      const config = writeConfig(context);
      using app = new App(database);
      app.write();
      await using short = context.program.start('replicate', '-config', config, '-exec', 'true');
      await short.exited;
      await using long = context.program.start('replicate', '-config', config, '-exec', 'sleep 60');
      await new LogReader(long).shows(['ltx file uploaded', 'starting L0 retention monitor'], () => app.write());
      return short.output + (await ended(long));
    },
  },
  {
    name: 'once, with a snapshot and retention',
    says: [
      'syncing database',
      'taking snapshot',
      'enforcing retention',
      'one-shot replication complete',
      'replication complete, litestream shutting down',
      'invalid shutdown-timeout; using default',
    ],
    async live(context) {
      const { database } = place(context.folder);
      const config = writeConfig(context, { extra: 'shutdown-timeout: soon\n' });
      using app = new App(database);
      app.write(5);
      const args = ['replicate', '-config', config, '-once', '-force-snapshot', '-enforce-retention'];
      await using daemon = await context.program.start(...args).done();
      return daemon.output;
    },
  },
  {
    name: 'databases that are missing are restored first',
    says: [
      'database exists, skipping restore',
      'attempting restore before replication',
      'restore completed',
      'no backup found, starting fresh',
    ],
    async live(context) {
      const { folder } = context;
      const names = ['here.db', 'backed-up.db', 'new.db'];
      await copyFixtureReplica('levels', join(folder, 'backed-up.db.replica'));
      using app = new App(join(folder, 'here.db'));
      app.write();
      const config = writeConfig(context, {
        databases: names.map((name) => ({ path: join(folder, name), replica: join(folder, `${name}.replica`) })),
        perDatabase: '    restore-if-db-not-exists: true\n',
      });
      await using daemon = context.program.replicate(config);
      const log = new LogReader(daemon);
      const restores = ['database exists, skipping restore', 'restore completed', 'no backup found, starting fresh'];
      await log.shows([...restores, 'replicating to', 'ltx file uploaded'], () => app.write());
      return await ended(daemon);
    },
  },
  {
    name: 'a watched folder, and a heartbeat',
    says: [
      'found databases in directory',
      'added database to replication',
      'removed database from replication',
      'starting heartbeat monitor',
    ],
    async live(context) {
      const { folder } = context;
      const dir = join(folder, 'dbs');
      mkdirSync(dir);
      using app = new App(join(dir, 'first.db'));
      const config = writeConfig(context, {
        databases: [],
        extra: `heartbeat-url: http://127.0.0.1:9/beat\nheartbeat-interval: 1m\ndbs:\n  - dir: ${dir}\n    pattern: "*.db"\n    watch: true\n    replica:\n      type: file\n      path: ${join(folder, 'replica')}\n`,
      });
      await using daemon = context.program.replicate(config);
      const log = new LogReader(daemon);
      await log.shows(['ltx file uploaded'], () => app.write());
      // Renamed into the folder, so that it is a whole database when it is seen.
      const second = new DatabaseSync(join(folder, 'second.db'));
      second.exec('CREATE TABLE t (a)');
      second.close();
      renameSync(join(folder, 'second.db'), join(dir, 'second.db'));
      await log.shows(['added database to replication']);
      for (const name of ['second.db', 'second.db-wal', 'second.db-shm']) rmSync(join(dir, name), { force: true });
      await log.shows(['removed database from replication']);
      return await ended(daemon);
    },
  },
  {
    name: 'a database older than its replica',
    says: ['detected database behind replica', 'fetched latest L0 file from replica'],
    async live(context) {
      const { database, local } = place(context.folder);
      const config = writeConfig(context);
      {
        using app = new App(database);
        app.write();
      }
      cpSync(database, `${database}.old`);
      {
        using app = new App(database);
        await using first = context.program.replicate(config);
        await new LogReader(first).shows(['ltx file uploaded', 'checkpoint'], () => app.write());
        await ended(first);
      }
      for (const suffix of ['-wal', '-shm']) rmSync(`${database}${suffix}`, { force: true });
      removeFolder(local);
      renameSync(`${database}.old`, database);
      using last = new App(database);
      await using daemon = context.program.replicate(config);
      await new LogReader(daemon).shows([
        'fetched latest L0 file from replica',
        'ltx file uploaded',
        'starting L0 retention monitor',
      ]);
      last.write();
      return await ended(daemon);
    },
  },
  {
    name: 'restore, reset',
    says: [
      'database already exists, skipping',
      'no matching backups found',
      'resetting local litestream state',
      'local state reset complete, next sync will create fresh snapshot',
    ],
    async live({ program, folder }) {
      const replica = join(folder, 'replica');
      await copyFixtureReplica('levels', replica);
      const output = join(folder, 'copy.db');
      const runs = [
        ['restore', '-integrity-check', 'quick', '-o', output, fileUrl(replica)],
        ['restore', '-if-db-not-exists', '-o', output, fileUrl(replica)],
        ['restore', '-if-replica-exists', '-o', join(folder, 'other.db'), fileUrl(join(folder, 'nothing'))],
      ];
      let said = '';
      for (const args of runs) said += (await program.start(...args).done()).output;
      mkdirSync(join(folder, '.copy.db-litestream', 'ltx', '0'), { recursive: true });
      return said + (await program.start('reset', output).done()).output;
    },
  },
  {
    name: 'a copy that follows',
    says: [
      'entering follow mode',
      'follow: applied updates',
      'follow mode stopped',
      'resuming follow mode from crash recovery',
    ],
    async live(context) {
      const { program, folder } = context;
      const { database, replica } = place(folder);
      const config = writeConfig(context);
      using app = new App(database);
      app.write();
      await program.start('replicate', '-config', config, '-once').done();
      const args = ['restore', '-f', '-follow-interval', '50ms', '-o', join(folder, 'copy.db'), fileUrl(replica)];
      await using first = program.start(...args);
      await new LogReader(first).shows(['entering follow mode']);
      app.write();
      await program.start('replicate', '-config', config, '-once').done();
      await new LogReader(first).shows(['follow: applied updates']);
      await ended(first);
      await using second = program.start(...args);
      await new LogReader(second).shows(['resuming follow mode from crash recovery']);
      return first.output + (await ended(second));
    },
  },
  {
    name: 'restore of a replica of v0.3',
    says: [],
    async live({ program, folder }) {
      const fixture = (await loadV3Fixtures()).find(({ name }) => name === 'many-logs');
      if (fixture === undefined) throw new Error('the fixture many-logs is gone');
      await copyV3Fixture(fixture, join(folder, 'replica'));
      return (await program.start('restore', '-o', join(folder, 'copy.db'), fileUrl(join(folder, 'replica'))).done())
        .output;
    },
  },
];

/** An application of its own process's making: it waits where the daemon holds the lock. */
class App implements Disposable {
  readonly #database: DatabaseSync;

  constructor(path: string) {
    this.#database = new DatabaseSync(path, { timeout: 60_000 });
    this.#database.exec(
      'PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, a)',
    );
  }

  write(count = 1, size = 500): void {
    const insert = this.#database.prepare('INSERT INTO t (a) VALUES (randomblob(?))');
    for (let index = 0; index < count; index += 1) insert.run(size);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

function place(folder: string): { database: string; replica: string; local: string } {
  return {
    database: join(folder, 'app.db'),
    replica: join(folder, 'replica'),
    local: join(folder, '.app.db-litestream'),
  };
}

async function ended(child: Child): Promise<string> {
  child.signal('SIGTERM');
  await child.exited;
  return child.output;
}

interface ConfigOptions {
  readonly databases?: readonly { readonly path: string; readonly replica: string }[];
  readonly perDatabase?: string;
  /** Lines of the top level. */
  readonly extra?: string;
}

/** Intervals so short that all comes to pass within seconds. */
function writeConfig({ folder, format }: LifeContext, options: ConfigOptions = {}): string {
  const { database, replica } = place(folder);
  const { databases = [{ path: database, replica }], perDatabase = '', extra = '' } = options;
  const path = join(folder, 'litestream.yml');
  const lines = databases.map(
    (each) =>
      `  - path: ${each.path}\n    monitor-interval: 50ms\n    checkpoint-interval: 300ms\n    min-checkpoint-page-count: 20\n${perDatabase}` +
      `    replica:\n      type: file\n      path: ${each.replica}\n      sync-interval: 50ms\n`,
  );
  writeFileSync(
    path,
    `logging:\n  level: debug\n  type: ${format}\n  source: ${format === 'json'}\nlevels:\n  - interval: 1s\n  - interval: 2s\n` +
      'snapshot:\n  interval: 1s\n  retention: 1s\nl0-retention: 500ms\nl0-retention-check-interval: 500ms\n' +
      `shutdown-sync-interval: 100ms\n${extra}${lines.length === 0 ? '' : `dbs:\n${lines.join('')}`}`,
  );
  return path;
}
