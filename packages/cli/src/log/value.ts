/** Values of log fields, as Go's slog renders them. */
import { messageWithCauses } from '../describe-error.ts';
import { formatDuration } from '../units/duration.ts';

/** Keys whose numbers are durations in milliseconds: `1h0m0s` in text, nanoseconds in JSON, as Go writes them. */
const DURATION_KEYS: ReadonlySet<string> = new Set([
  'backoff',
  'duration',
  'elapsed',
  'interval',
  'left',
  'remaining',
  'retention',
  'sync-interval',
  'timeout',
]);

function isDuration(key: string, value: unknown): value is number {
  return typeof value === 'number' && DURATION_KEYS.has(key);
}

/** Text of a field, before quoting. */
export function fieldText(key: string, value: unknown): string {
  return isDuration(key, value) ? formatDuration(value) : valueText(value);
}

/** A field for JSON. */
export function fieldJson(key: string, value: unknown): unknown {
  return isDuration(key, value) ? Math.round(value * 1e6) : jsonValue(value);
}

/** Text of a value, before quoting. */
function valueText(value: unknown): string {
  if (value === undefined || value === null) return '<nil>';
  if (typeof value === 'string') return value;
  if (value instanceof Date) return formatTime(value);
  if (Array.isArray(value)) return `[${value.map(valueText).join(' ')}]`;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof Error) return messageWithCauses(value);
  if (typeof value === 'object') return JSON.stringify(value, fieldJson);
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  return typeof value;
}

/** The same for JSON: errors as text, bigints as numbers where exact, everything else as it is. */
function jsonValue(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Error) return messageWithCauses(value);
  return value;
}

/** RFC 3339 with milliseconds, UTC. */
export function formatTime(time: Date): string {
  return Number.isNaN(time.getTime()) ? 'invalid time' : time.toISOString();
}
