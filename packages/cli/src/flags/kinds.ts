import type { TXID } from '@litestream/ltx';
import { parseDuration } from '../units/duration.ts';
import { parsePointInTime } from '../units/point-in-time.ts';

/** Turns the text of a flag into a value. `parse` throws an `Error` whose message ends the sentence `invalid value …:`. */
export interface FlagKind<T> {
  readonly parse: (text: string) => T;
  readonly initial: T;
  /** Name of the value in the help. Flags without one are switches and take no argument. */
  readonly placeholder?: string | undefined;
  /** All valid values if they can be listed, for completions. */
  readonly words?: readonly string[];
}

export function text(placeholder: string): FlagKind<string | undefined> {
  return { placeholder, initial: undefined, parse: (value) => value };
}

/** Text with a default. */
export function word(placeholder: string, initial: string): FlagKind<string> {
  return { placeholder, initial, parse: (value) => value };
}

/** May be given more than once. */
export interface ListKind extends FlagKind<readonly string[]> {
  readonly repeated: true;
}

export function list(placeholder: string): ListKind {
  return { placeholder, initial: [], repeated: true, parse: (value) => [value] };
}

export function flag(): FlagKind<boolean> {
  return {
    initial: false,
    parse: (value) => {
      if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
      if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false;
      throw new Error('parse error');
    },
  };
}

export function integer<T extends number | undefined>(
  placeholder: string,
  initial: T,
  min: number,
): FlagKind<T | number> {
  return {
    placeholder,
    initial,
    parse: (value) => {
      const number = /^[-+]?\d+$/.test(value) ? Number(value) : Number.NaN;
      if (!Number.isSafeInteger(number)) throw new Error('parse error');
      if (number < min) throw new Error(`must be at least ${min}`);
      return number;
    },
  };
}

/** A duration in Go's notation, above zero; the value is in milliseconds. */
export function duration<T extends number | undefined>(placeholder: string, initialMs: T): FlagKind<T | number> {
  return {
    placeholder,
    initial: initialMs,
    parse: (value) => {
      const durationMs = parseDuration(value);
      if (durationMs === undefined) throw new Error('parse error, write it like 500ms, 30s or 1h30m');
      if (durationMs <= 0) throw new Error('must be greater than 0');
      return durationMs;
    },
  };
}

export function txid(placeholder: string): FlagKind<TXID | undefined> {
  return {
    placeholder,
    initial: undefined,
    parse: (value) => {
      if (!/^[0-9a-f]{16}$/i.test(value)) throw new Error('invalid txid format, it has 16 hex digits');
      return BigInt(`0x${value}`);
    },
  };
}

/** One of these words. */
export function oneOf<const T extends string, const I extends T | undefined>(
  placeholder: string,
  words: readonly T[],
  initial: I,
): FlagKind<T | I> {
  return {
    placeholder,
    initial,
    // Spellings that are accepted for old scripts are not suggested.
    words: words.filter((word) => word === word.toLowerCase() && word !== 'warning'),
    parse: (value) => {
      const found = words.find((word) => word === value);
      if (found === undefined) throw new Error(`must be one of ${words.join(', ')}`);
      return found;
    },
  };
}

/** A compaction level, or all of them. */
export function level(placeholder: string): FlagKind<number | 'all'> {
  return {
    placeholder,
    initial: 0,
    parse: (value) => {
      if (value === 'all') return 'all';
      if (!/^[-+]?\d+$/.test(value)) throw new Error('invalid level: must be 0-9 or "all"');
      if (!/^\+?0*\d$/.test(value)) throw new Error('level must be between 0 and 9');
      return Number(value);
    },
  };
}

/** A point in time. Empty text means no time, since scripts pass variables that may be empty. */
export function timestamp(placeholder: string): FlagKind<Date | undefined> {
  return {
    placeholder,
    initial: undefined,
    parse: (value) => (value === '' ? undefined : parsePointInTime(value)),
  };
}
