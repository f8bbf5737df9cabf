/**
 * The file system under the code of this process, failing on command. Import it before anything that takes functions of
 * `node:fs` for itself. Workers and SQLite have file systems of their own.
 */
import fs from 'node:fs';
import fsPromises from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

export type Errno = 'ENOSPC' | 'EIO' | 'EMFILE' | 'EDQUOT';

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;

/** Calls since `watchCalls`, in order; the one that failed has `!` behind it. */
let trace: string[] | undefined;
let plan: Fault | undefined;

/** One call: the so-manieth (from 0) of this function. */
export interface Fault {
  readonly name: string;
  readonly occurrence: number;
  /** `SIGKILL`: the process ends before the call. */
  readonly errno: Errno | 'SIGKILL';
}

/** Records calls from now on, and makes one of them fail. */
export function watchCalls(fault?: Fault): void {
  trace = [];
  plan = fault;
}

/** A fault for each of these calls. */
export function faultsOf(calls: readonly string[], errnos: readonly Fault['errno'][]): Fault[] {
  const counts = new Map<string, number>();
  return calls.map((call, index) => {
    const [name = ''] = call.split(' ');
    const occurrence = counts.get(name) ?? 0;
    counts.set(name, occurrence + 1);
    return { name, occurrence, errno: errnos[index % errnos.length] ?? 'EIO' };
  });
}

/** Ends it. Gives the calls, and the one that failed, if it came to that. */
export function callsSeen(): { readonly calls: readonly string[]; readonly failed: string | undefined } {
  const calls = trace ?? [];
  trace = undefined;
  plan = undefined;
  return { calls, failed: calls.find((call) => call.endsWith('!')) };
}

/** What is done with the call, and the error it fails with, if it does. */
function seen(name: string, args: readonly unknown[]): NodeJS.ErrnoException | undefined {
  if (trace === undefined) return undefined;
  const about = args.filter((arg) => typeof arg === 'string' || typeof arg === 'number').slice(0, 2);
  const call = `${name} ${about.join(' ')}`.trim();
  const occurrence = trace.filter((each) => each === name || each.startsWith(`${name} `)).length;
  const fails = plan?.name === name && plan.occurrence === occurrence;
  trace.push(fails ? `${call}!` : call);
  if (!fails || plan === undefined) return undefined;
  if (plan.errno === 'SIGKILL') process.kill(process.pid, 'SIGKILL');
  return Object.assign(new Error(`${plan.errno}: injected, ${call}`), { code: plan.errno, syscall: name, errno: -5 });
}

function wrapSync(target: object, names: readonly string[]): void {
  for (const name of names) {
    const original = Reflect.get(target, name) as AnyFunction;
    const wrapped = function (this: unknown, ...args: unknown[]): unknown {
      const error = seen(name, args);
      if (error !== undefined) throw error;
      return original.apply(this, args);
    };
    Reflect.set(target, name, wrapped);
  }
}

function wrapCallback(names: readonly (keyof typeof fs)[]): void {
  for (const name of names) {
    const original = Reflect.get(fs, name) as AnyFunction;
    const wrapped = function (this: unknown, ...args: unknown[]): unknown {
      const error = seen(name, args);
      if (error === undefined) return original.apply(this, args);
      const done = args.at(-1) as (error: Error) => void;
      setImmediate(done, error);
      return undefined;
    };
    Reflect.set(fs, name, wrapped);
  }
}

function wrapPromise(target: object, names: readonly string[], label = ''): void {
  for (const name of names) {
    const original = Reflect.get(target, name) as AnyFunction;
    const wrapped = async function (this: unknown, ...args: unknown[]): Promise<unknown> {
      const error = seen(label + name, args);
      if (error !== undefined) throw error;
      return await original.apply(this, args);
    };
    Reflect.set(target, name, wrapped);
  }
}

const probe = await fsPromises.open('/dev/null', 'r');
const handleMethods = Object.getPrototypeOf(probe) as FileHandle;
await probe.close();

wrapSync(fs, [
  'openSync',
  'writeSync',
  'readSync',
  'fsyncSync',
  'fdatasyncSync',
  'linkSync',
  'unlinkSync',
  'renameSync',
  'mkdirSync',
]);
wrapCallback(['fsync', 'fdatasync']);
wrapPromise(fsPromises, ['open', 'rename', 'rm', 'mkdir', 'link']);
wrapPromise(handleMethods, ['write', 'writev', 'read', 'sync', 'datasync', 'utimes', 'stat'], 'handle.');
syncBuiltinESMExports();
