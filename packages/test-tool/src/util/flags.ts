/** Kinds of flags that only this program has. */
import type { FlagKind } from '@litestream/cli/kit';

/** A number with a fraction, from `min` to `max`. */
export function decimal(placeholder: string, initial: number, min: number, max: number): FlagKind<number> {
  return {
    placeholder,
    initial,
    parse: (value) => {
      const number = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(value) ? Number(value) : Number.NaN;
      if (Number.isNaN(number)) throw new Error('parse error');
      if (number < min || number > max) throw new Error(`must be between ${min} and ${max}`);
      return number;
    },
  };
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** Bytes: `500MB`, `1.5GB`. Units are powers of 1,024, as in the tool of Litestream (Go), unlike those of the config. */
export function binarySize(placeholder: string, initial: number): FlagKind<number> {
  return {
    placeholder,
    initial,
    parse: (value) => {
      const [, digits, unit = ''] = /^(\d+\.?\d*|\.\d+)\s*([kmgt]?)(?:i?b)?$/i.exec(value) ?? [];
      const bytes = Math.floor(Number(digits) * (UNITS[unit.toLowerCase()] ?? Number.NaN));
      if (!Number.isSafeInteger(bytes)) throw new Error('parse error, write it like 500MB or 1.5GB');
      if (bytes < 1) throw new Error('must be greater than 0');
      return bytes;
    },
  };
}

/** One of these words, in any case. */
export function word<const T extends string>(placeholder: string, words: readonly T[], initial: T): FlagKind<T> {
  return {
    placeholder,
    initial,
    parse: (value) => {
      const found = words.find((each) => each.toLowerCase() === value.toLowerCase());
      if (found === undefined) throw new Error(`must be one of ${words.join(', ')}`);
      return found;
    },
  };
}
