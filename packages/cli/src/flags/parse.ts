/**
 * Flags as Go's `flag` package reads them: one dash or two, `-name value` or `-name=value`, switches without a value,
 * the first word that is no flag ends them, and so does `--`.
 */
import { nearest } from '@litestream/core/nearest';
import { UsageError } from '../util/usage-error.ts';
import type { FlagKind, ListKind } from './kinds.ts';

/** A flag of a command. The name has no dashes. */
export interface FlagSpec<T> {
  readonly kind: FlagKind<T> | (ListKind & FlagKind<T>);
  /** What it does, as sentences for the help. */
  readonly help: string;
}

export type FlagSpecs = Readonly<Record<string, FlagSpec<unknown>>>;
export type FlagValues<S extends FlagSpecs> = {
  readonly [Name in keyof S]: S[Name] extends FlagSpec<infer T> ? T : never;
};

export interface ParsedFlags<S extends FlagSpecs> {
  readonly values: FlagValues<S>;
  /** Names of the flags that were given. */
  readonly given: ReadonlySet<string>;
  readonly args: readonly string[];
  /** `-h`, `-help` or `--help` was among the flags. */
  readonly help: boolean;
}

/** @param command program and command, for the advice with an error: `litestream ltx` */
export function parseFlags<S extends FlagSpecs>(command: string, specs: S, argv: readonly string[]): ParsedFlags<S> {
  const values: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(specs)) values[name] = spec.kind.initial;
  const given = new Set<string>();
  const explain = `${command} -h`;

  let at = 0;
  for (; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    if (!word.startsWith('-') || word === '-') break;
    if (word === '--') {
      at += 1;
      break;
    }
    const [, name = '', inline] = /^--?([^=]*)(?:=([^]*))?$/.exec(word) ?? [];
    if (name === '' || name.startsWith('-')) throw new UsageError(`bad flag syntax: ${word}`, explain);
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined) {
      if (name === 'h' || name === 'help') return { values: values as FlagValues<S>, given, args: [], help: true };
      // Every one-letter name is near to every other.
      const meant = name.length === 1 ? undefined : nearest(name, Object.keys(specs));
      const question = meant === undefined ? '' : ` (did you mean -${meant}?)`;
      throw new UsageError(`flag provided but not defined: -${name}${question}`, explain);
    }
    given.add(name);
    values[name] = readValue(name, spec, inline, values[name]);
  }
  return { values: values as FlagValues<S>, given, args: argv.slice(at), help: false };

  function readValue(name: string, spec: FlagSpec<unknown>, inline: string | undefined, before: unknown): unknown {
    const { kind } = spec;
    if (kind.placeholder === undefined) {
      if (inline === undefined) return true;
      try {
        return kind.parse(inline);
      } catch (error) {
        throw new UsageError(`invalid boolean value "${inline}" for -${name}: ${reason(error)}`, explain);
      }
    }
    const text = inline ?? argv[(at += 1)];
    if (text === undefined) throw new UsageError(`flag needs an argument: -${name}`, explain);
    try {
      const value = kind.parse(text);
      return 'repeated' in kind && Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : value;
    } catch (error) {
      throw new UsageError(`invalid value "${text}" for flag -${name}: ${reason(error)}`, explain);
    }
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
