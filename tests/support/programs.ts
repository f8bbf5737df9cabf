/** The two programs under one face: what is done with one can be done with the other. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Child } from './child.ts';
import { goEnvironment, goLitestream } from './go-litestream.ts';
import { repositoryRoot } from './repository.ts';

export interface RestorePoint {
  readonly txid?: bigint;
  /** RFC 3339, milliseconds allowed. */
  /** Ours only. */
  readonly proof?: 'required';
  readonly timestamp?: string;
}

export class Program {
  /** `go` or `ts`. */
  readonly name: string;
  readonly #command: string;
  readonly #args: readonly string[];
  readonly #env: NodeJS.ProcessEnv;

  constructor(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.name = name;
    this.#command = command;
    this.#args = args;
    this.#env = env;
  }

  /** Starts it with any arguments. */
  start(...args: string[]): Child {
    return new Child(`${this.name} ${args[0] ?? ''}`, this.#command, [...this.#args, ...args], { env: this.#env });
  }

  /** A daemon that follows the databases of a config file. */
  replicate(config: string): Child {
    return this.start('replicate', '-config', config);
  }

  async replicateOnce(database: string, replica: string): Promise<Child> {
    return this.start('replicate', '-once', database, fileUrl(replica)).done();
  }

  /** Restores a file replica into `output`. */
  async restore(replica: string, output: string, point: RestorePoint = {}): Promise<Child> {
    const args = ['-o', output];
    if (point.txid !== undefined) args.push('-txid', point.txid.toString(16).padStart(16, '0'));
    if (point.timestamp !== undefined) args.push('-timestamp', point.timestamp);
    if (point.proof !== undefined) args.push('-proof', point.proof);
    return this.start('restore', ...args, fileUrl(replica)).done();
  }

  /** The `ltx` listing of all levels, as printed. */
  async ltx(replica: string, ...flags: string[]): Promise<string> {
    const child = await this.start('ltx', '-level', 'all', ...flags, fileUrl(replica)).done();
    return child.stdout;
  }
}

export async function goProgram(env: NodeJS.ProcessEnv = {}): Promise<Program> {
  return new Program('go', await goLitestream(), [], { ...goEnvironment(), ...env });
}

/** Our command line's entry, as npm would install it. Needs the packages built. */
export const ourProgram: string = join(repositoryRoot, 'packages', 'cli', 'bin', 'litestream.js');

export function tsProgram(env: NodeJS.ProcessEnv = {}): Program {
  return new Program('ts', process.execPath, [ourProgram], { ...process.env, ...env });
}

export function fileUrl(folder: string): string {
  return pathToFileURL(folder).href;
}

/** Settings of a test daemon: intervals short enough that all levels come to life within seconds. */
export interface DaemonConfig {
  readonly database: string;
  readonly replica: string;
  /** Compaction levels from 1 on, as Go durations. Default: none comes due during a test. */
  readonly levels?: readonly string[];
  readonly snapshotInterval?: string;
  readonly snapshotRetention?: string;
  readonly l0Retention?: string;
  readonly monitorInterval?: string;
  readonly syncInterval?: string;
  readonly checkpointInterval?: string;
  readonly minCheckpointPageCount?: number;
}

/** Writes the configuration, in keys both programs know, and gives its path. */
export async function writeConfig(path: string, config: DaemonConfig): Promise<string> {
  const lines = [
    'levels:',
    ...(config.levels ?? ['10m']).map((interval) => `  - interval: ${interval}`),
    'snapshot:',
    `  interval: ${config.snapshotInterval ?? '24h'}`,
    `  retention: ${config.snapshotRetention ?? '24h'}`,
    `l0-retention: ${config.l0Retention ?? '5m'}`,
    'l0-retention-check-interval: 1s',
    'shutdown-sync-interval: 100ms',
    'dbs:',
    `  - path: ${config.database}`,
    `    monitor-interval: ${config.monitorInterval ?? '20ms'}`,
    `    checkpoint-interval: ${config.checkpointInterval ?? '1m'}`,
    ...(config.minCheckpointPageCount === undefined
      ? []
      : [`    min-checkpoint-page-count: ${config.minCheckpointPageCount}`]),
    '    replica:',
    '      type: file',
    `      path: ${config.replica}`,
    `      sync-interval: ${config.syncInterval ?? '20ms'}`,
  ];
  await writeFile(path, `${lines.join('\n')}\n`);
  return path;
}
