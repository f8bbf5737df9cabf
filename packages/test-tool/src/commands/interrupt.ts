/** Aborts at the first SIGINT or SIGTERM; a second one ends the process as usual. Dispose to stop listening. */
export function onInterrupt(): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const names = ['SIGINT', 'SIGTERM'] as const;
  const abort = (): void => {
    release();
    controller.abort(new Error('interrupted'));
  };
  const release = (): void => names.forEach((name) => process.off(name, abort));
  names.forEach((name) => process.on(name, abort));
  return { signal: controller.signal, [Symbol.dispose]: release };
}
