/** The command line: `npm run bench -- [CASE ...] [--size 1GB] [--rounds 5] [--seconds 60] [--databases 500] [--out FILE]`. */
import { parseArgs } from 'node:util';

export interface BenchOptions {
  readonly cases: readonly string[];
  /** Bytes of the large database. */
  readonly size: number;
  /** How often each program does the same work. */
  readonly roundCount: number;
  /** How long the cases that watch a program last. */
  readonly seconds: number;
  /** Databases of the idle case. */
  readonly databaseCount: number;
  /** Where the results go, without extension. */
  readonly out: string | undefined;
}

const units: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };

export function parseOptions(args: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      size: { type: 'string', default: '1.08GB' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '60' },
      databases: { type: 'string', default: '500' },
      out: { type: 'string' },
    },
  });
  return {
    cases: positionals,
    size: bytesOf(values.size),
    roundCount: wholeNumber('rounds', values.rounds),
    seconds: wholeNumber('seconds', values.seconds),
    databaseCount: wholeNumber('databases', values.databases),
    out: values.out,
  };
}

function bytesOf(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([kmg]?)b?$/i.exec(text) ?? [];
  const factor = units[unit?.toLowerCase() ?? ''];
  if (number === undefined || factor === undefined)
    throw new Error(`--size is a size like 256MB or 1.08GB, not ${text}`);
  return Math.round(Number(number) * factor);
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} is a whole number from 1, not ${text}`);
  return value;
}
