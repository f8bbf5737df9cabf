/** Intercepts a function of `node:fs` in this process, until disposed. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

type Name = 'openSync' | 'fstatSync' | 'fsyncSync' | 'renameSync' | 'rmSync' | 'statfsSync';

/** Calls `before` with the arguments of each call. If it throws, the call throws that error. */
export function interceptFs(name: Name, before: (...args: readonly unknown[]) => void): Disposable {
  const original = fs[name] as (...args: unknown[]) => unknown;
  return replaceFs(name, (...args) => {
    before(...args);
    return original.apply(fs, args);
  });
}

/** `replacement` is called in place of the function. */
export function replaceFs(name: Name, replacement: (...args: unknown[]) => unknown): Disposable {
  const original = fs[name];
  Object.assign(fs, { [name]: replacement });
  syncBuiltinESMExports();
  return {
    [Symbol.dispose]: () => {
      Object.assign(fs, { [name]: original });
      syncBuiltinESMExports();
    },
  };
}

export function failWith(code: 'EIO' | 'ENOSPC'): never {
  throw Object.assign(new Error(code), { code });
}
