/** Reads a config file: text → variables expanded → YAML → schema → rules → `Config`. */
import { readFileSync } from 'node:fs';
import { LitestreamError } from '@litestream/core';
import { messageWithCauses } from '../describe-error.ts';
import { expandEnv } from './expand-env.ts';
import { normaliseConfig } from './normalise.ts';
import { expandPath } from './paths.ts';
import { configSchema } from './schema.ts';
import type { Config } from './types.ts';
import { formatPath, unknownKeys } from './unknown-keys.ts';
import { validateConfig } from './validate.ts';
import { parseYaml } from './yaml.ts';

export interface LoadedConfig {
  readonly config: Config;
  /** Sentences about what was ignored, with the place in the file. */
  readonly warnings: readonly string[];
}

/** @throws LitestreamError `CONFIG_INVALID` that names the file, line and column. */
export function loadConfig(path: string, options: { readonly expandEnv: boolean }): LoadedConfig {
  const file = expandPath(path);
  return parseConfig(readText(file), { file, expandEnv: options.expandEnv });
}

export function parseConfig(
  text: string,
  options: { readonly file: string; readonly expandEnv: boolean },
): LoadedConfig {
  const { file } = options;
  const yaml = parseYaml(options.expandEnv ? expandEnv(text) : text, file);
  const plain = yaml.value ?? {};
  const result = configSchema.safeParse(plain);
  if (!result.success) {
    const [issue] = result.error.issues;
    const path = issue?.path ?? [];
    const name = path.length === 0 ? '' : `${formatPath(path)}: `;
    throw new LitestreamError(`${yaml.where(path)}: ${name}${describe(issue)}`, { code: 'CONFIG_INVALID' });
  }
  const raw = result.data;
  validateConfig(raw, yaml.where);
  const config = normaliseConfig(raw, plain, file, yaml.where);
  const warnings = unknownKeys(plain, isBuiltIn).map(({ path, message }) => `${yaml.where(path)}: ${message}`);
  return { config, warnings };
}

/** A config made of nothing but defaults. */
export function defaultConfig(): Config {
  return normaliseConfig({}, {}, undefined, () => 'default config');
}

const BUILT_IN = new Set(['file', 's3', 'gs', 'gcs', 'abs', 'oss', 'sftp', 'webdav', 'webdavs', 'nats']);

function isBuiltIn(replica: Record<string, unknown>): boolean {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(textOf(replica['url']) ?? '')?.[1];
  return BUILT_IN.has(scheme ?? textOf(replica['type']) ?? 'file');
}

const REASONS: Readonly<Record<string, string>> = { EACCES: 'permission denied', EISDIR: 'it is a directory' };

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') {
      const hint = 'Name it with -config PATH or LITESTREAM_CONFIG, or give a replica URL instead of a database.';
      throw new LitestreamError(`config file not found: ${file}`, { code: 'CONFIG_INVALID', hint });
    }
    const reason = REASONS[code ?? ''] ?? messageWithCauses(cause);
    throw new LitestreamError(`cannot read config file ${file}: ${reason}`, { code: 'CONFIG_INVALID' });
  }
}

interface Issue {
  readonly code?: string | undefined;
  readonly message: string;
  readonly expected?: unknown;
}

const KINDS: Readonly<Record<string, string>> = {
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a whole number',
  string: 'text',
  array: 'a list',
  object: 'a section with keys below it',
};

function describe(issue: Issue | undefined): string {
  if (issue === undefined) return 'not a valid config';
  if (issue.code !== 'invalid_type') return issue.message;
  return `must be ${KINDS[String(issue.expected)] ?? String(issue.expected)}`;
}
