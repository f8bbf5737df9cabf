/** Starts, watches and ends the processes of servers: by process ID, on loopback, with their output at hand. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const OUTPUT_SIZE_MAX = 64 * 1024;
/** A server that is killed may lose what it acknowledged. */
const STOP_MS_MAX = 20_000;

/** A started server. */
export interface ServerProcess {
  readonly port: number;
  /** The end of what it printed. */
  output(): string;
  stop(): Promise<void>;
}

/** A port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port);
        else reject(new Error('no port was given'));
      });
    });
  });
}

/** A folder of its own for a server's data. */
export async function scratchFolder(name: string): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), `litestream-${name}-`));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/**
 * Runs a server and waits until it accepts connections on `port`, or on the one that the server chose and a function finds
 * out (undefined until then). Fails with its output if it
 * ends before.
 */
export async function startServer(
  command: string,
  args: readonly string[],
  options: {
    readonly port: number | (() => number | undefined);
    readonly env?: Readonly<Record<string, string>>;
    readonly cwd?: string;
    readonly timeoutMs?: number;
    /** Whom to run as, where this process is root. */
    readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  },
): Promise<ServerProcess> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    ...options.user,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-OUTPUT_SIZE_MAX);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  let failure: Error | undefined;
  child.once('error', (error) => {
    failure = error;
  });
  const exited = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  const ended = (): boolean => failure !== undefined || child.exitCode !== null || child.signalCode !== null;
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async (): Promise<void> => {
    process.removeListener('exit', kill);
    if (!ended()) child.kill('SIGTERM');
    const late = new AbortController();
    await Promise.race([exited, sleep(STOP_MS_MAX, undefined, { signal: late.signal }).catch(() => undefined)]);
    late.abort();
    if (!ended()) child.kill('SIGKILL');
    await exited;
  };
  const deadline = Date.now() + (options.timeoutMs ?? 120_000);
  const portNow = (): number | undefined => (typeof options.port === 'number' ? options.port : options.port());
  let port = portNow();
  while (port === undefined || !(await accepts(port))) {
    if (ended() || Date.now() > deadline) {
      await stop();
      throw new Error(`${command} did not come up: ${failure?.message ?? ''}\n${output}`);
    }
    await sleep(50);
    port = portNow();
  }
  return { port, output: () => output, stop };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
  });
}
