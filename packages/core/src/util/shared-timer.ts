/**
 * One timer per interval for all databases of the process: ten thousand idle databases wake it once a second, not ten
 * thousand times.
 */
const sweeps = new Map<number, { readonly checks: Set<() => void>; readonly timer: NodeJS.Timeout }>();

/** Calls `check` every `intervalMs` until the returned function is called. Does not keep the process alive. */
export function onSharedTimer(intervalMs: number, check: () => void): () => void {
  let sweep = sweeps.get(intervalMs);
  if (sweep === undefined) {
    const checks = new Set<() => void>();
    const timer = setInterval(() => {
      for (const each of checks) each();
    }, intervalMs);
    timer.unref();
    sweep = { checks, timer };
    sweeps.set(intervalMs, sweep);
  }
  const { checks, timer } = sweep;
  // A new function, so that the same check can be registered twice.
  const own = (): void => check();
  checks.add(own);
  return () => {
    checks.delete(own);
    if (checks.size > 0) return;
    clearInterval(timer);
    sweeps.delete(intervalMs);
  };
}
