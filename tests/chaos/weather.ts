/**
 * The *weather* of a process under test: its clock and its disk. Loaded before everything else (`node --import`), also into worker
 * threads. The file that `CHAOS_WEATHER` names states the current weather.
 */
import fs from 'node:fs';
import fsPromises from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

export interface Weather {
  /** How far `Date.now()` is ahead; below 0: behind. */
  readonly clockOffsetMs?: number;
  /** Calls of the file system that fail. SQLite has a file system of its own. */
  readonly disk?: {
    readonly errno: 'EIO' | 'ENOSPC' | 'EROFS' | 'EMFILE';
    /** Only calls for files below this folder. */
    readonly under: string;
    /** Share of these calls. */
    readonly share: number;
  };
}

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;

const lookIntervalMs = 20;
const path = process.env['CHAOS_WEATHER'];
const readFile = fs.readFileSync;
const monotonic = performance.now.bind(performance);
let weather: Weather = {};
let lookedAtMs = Number.NEGATIVE_INFINITY;

function now(): Weather {
  if (path === undefined || monotonic() - lookedAtMs < lookIntervalMs) return weather;
  lookedAtMs = monotonic();
  try {
    weather = JSON.parse(readFile(path, 'utf8')) as Weather;
  } catch {
    // Not there, or just being written: as before.
  }
  return weather;
}

const RealDate = Date;
const realNow = RealDate.now.bind(RealDate);
const clock = (): number => realNow() + (now().clockOffsetMs ?? 0);
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args: unknown[], newTarget) =>
    Reflect.construct(target, args.length === 0 ? [clock()] : args, newTarget) as object,
  get: (target, key, receiver) => (key === 'now' ? clock : Reflect.get(target, key, receiver)),
});

/** Paths of open descriptors, on which a fault may occur; `handles` has those of file handles. */
const opened = new Map<unknown, string>();

function failure(name: string, file: unknown): NodeJS.ErrnoException | undefined {
  const { disk } = now();
  const about = typeof file === 'string' ? file : opened.get(file);
  if (disk === undefined || name === 'closeSync' || about?.startsWith(disk.under) !== true) return undefined;
  if (Math.random() >= disk.share) return undefined;
  return Object.assign(new Error(`${disk.errno}: chaos, ${name} '${about}'`), { code: disk.errno, syscall: name });
}

function wrapSync(names: readonly (keyof typeof fs)[]): void {
  for (const name of names) {
    const original = fs[name] as AnyFunction;
    Reflect.set(fs, name, function (this: unknown, ...args: unknown[]) {
      const error = failure(name, args[0]);
      if (error !== undefined) throw error;
      const result = original.apply(this, args);
      if (name === 'openSync' && typeof args[0] === 'string') opened.set(result, args[0]);
      if (name === 'closeSync') opened.delete(args[0]);
      return result;
    });
  }
}

function wrapCallback(names: readonly (keyof typeof fs)[]): void {
  for (const name of names) {
    const original = fs[name] as AnyFunction;
    Reflect.set(fs, name, function (this: unknown, ...args: unknown[]) {
      const error = failure(name, args[0]);
      if (error === undefined) return original.apply(this, args);
      setImmediate(args.at(-1) as (error: Error) => void, error);
      return undefined;
    });
  }
}

function wrapPromise(
  target: object,
  names: readonly string[],
  fileOf: (self: unknown, args: unknown[]) => unknown,
): void {
  for (const name of names) {
    const original = Reflect.get(target, name) as AnyFunction;
    Reflect.set(target, name, async function (this: unknown, ...args: unknown[]) {
      const error = failure(name, fileOf(this, args));
      if (error !== undefined) throw error;
      const result = await original.apply(this, args);
      if (name === 'open' && typeof args[0] === 'string') handles.set(result as object, args[0]);
      return result;
    });
  }
}

const handles = new WeakMap<object, string>();
if (path !== undefined) {
  const probe = await fsPromises.open('/dev/null', 'r');
  const handleMethods = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  wrapSync(['openSync', 'closeSync', 'writeSync', 'readSync', 'fsyncSync', 'fdatasyncSync']);
  wrapSync(['linkSync', 'renameSync', 'mkdirSync']);
  wrapCallback(['fsync', 'fdatasync']);
  wrapPromise(fsPromises, ['open', 'rename', 'mkdir', 'link', 'readdir', 'stat'], (_, [file]) => file);
  wrapPromise(handleMethods, ['write', 'writev', 'read', 'sync', 'datasync'], (self) => handles.get(self as object));
  syncBuiltinESMExports();
}
