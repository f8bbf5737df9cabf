/** Go's notation of durations (`1h30m`, `500ms`, `1.5s`): what configs, flags and log lines use. */

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** 2^63-1 nanoseconds: the longest duration that Go can hold, about 292 years. */
const DURATION_MS_MAX = 9_223_372_036_854.775;

const part = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;

/** Milliseconds, or undefined when the text is no duration. `0` needs no unit, everything else does. */
export function parseDuration(text: string): number | undefined {
  const negative = text.startsWith('-');
  const body = negative || text.startsWith('+') ? text.slice(1) : text;
  if (body === '0') return 0;
  if (body === '') return undefined;
  let totalMs = 0;
  part.lastIndex = 0;
  while (part.lastIndex < body.length) {
    const found = part.exec(body);
    if (found === null) return undefined;
    totalMs += Number(found[1]) * (UNIT_MS[found[2] ?? ''] ?? Number.NaN);
  }
  if (!(totalMs <= DURATION_MS_MAX)) return undefined;
  return negative ? -totalMs : totalMs;
}

/** `1h0m0s`, `1.5s`, `250ms`, `14.471µs`, `0s`: as Go prints them. */
export function formatDuration(durationMs: number): string {
  const totalNs = Math.round(Math.abs(durationMs) * 1e6);
  const sign = durationMs < 0 && totalNs > 0 ? '-' : '';
  if (totalNs === 0) return '0s';
  if (totalNs < 1e3) return `${sign}${totalNs}ns`;
  if (totalNs < 1e6) return `${sign}${decimal(totalNs, 1e3)}µs`;
  if (totalNs < 1e9) return `${sign}${decimal(totalNs, 1e6)}ms`;
  const minutes = Math.floor(totalNs / 6e10);
  const seconds = `${decimal(totalNs - minutes * 6e10, 1e9)}s`;
  if (minutes === 0) return sign + seconds;
  if (minutes < 60) return `${sign}${minutes}m${seconds}`;
  return `${sign}${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`;
}

/** `value / unit` without a trailing zero, exact to the nanosecond. */
function decimal(valueNs: number, unitNs: number): string {
  const whole = Math.floor(valueNs / unitNs);
  const rest = String(valueNs % unitNs)
    .padStart(String(unitNs).length - 1, '0')
    .replace(/0+$/, '');
  return rest === '' ? String(whole) : `${whole}.${rest}`;
}
