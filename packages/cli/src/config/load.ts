/** Reads a config file: text → variables expanded → YAML → schema → rules → `Config`. */
import { readFileSync } from 'node:fs';
import { LitestreamError, isLitestreamError } from '@litestream/core';
import { messageWithCauses } from '../util/describe-error.ts';
import { expandEnv, unsetVariables } from './expand-env.ts';
import { normaliseConfig } from './normalise.ts';
import { noticesOf } from './notices.ts';
import type { Notice } from './notices.ts';
import { expandPath } from './paths.ts';
import { urlWarning } from './file-url.ts';
import { configSchema } from './schema/schema.ts';
import type { RawConfig } from './schema/schema.ts';
import type { Config } from './types.ts';
import { formatPath, isRecord, unknownKeys } from './schema/unknown-keys.ts';
import type { UnknownKey } from './schema/unknown-keys.ts';
import { replicasOf, validateConfig } from './validate.ts';
import { parseYaml } from './yaml.ts';
import type { YamlConfig } from './yaml.ts';

/** The most typing errors that one message lists. */
const SLIPS_MAX = 3;

export interface LoadedConfig {
  readonly config: Config;
  /** Warnings about ignored parts, with file, line and column. */
  readonly warnings: readonly string[];
  readonly notices: readonly Notice[];
}

/** @throws LitestreamError `CONFIG_INVALID` that names the file, line and column. */
export function loadConfig(
  path: string,
  options: {
    readonly expandEnv: boolean;
    /** Advice for a user without a config file: what to give instead. */
    readonly alternative?: string | undefined;
  },
): LoadedConfig {
  const file = expandPath(path);
  return parseConfig(readText(file, options.alternative), { file, expandEnv: options.expandEnv });
}

export function parseConfig(
  text: string,
  options: { readonly file: string; readonly expandEnv: boolean },
): LoadedConfig {
  const { file } = options;
  const yaml = parseYaml(options.expandEnv ? expandEnv(text) : text, file);
  const plain = yaml.value ?? {};
  const unset = options.expandEnv ? unsetVariables(text, file) : [];
  const unknown = unknownKeys(plain, isBuiltIn);
  try {
    const raw = checked(plain, yaml);
    const config = normaliseConfig(raw, plain, file, yaml.where);
    const warnings = unknown.map(({ path, message }) => `${yaml.whereKey(path)}: ${message}`);
    const ignored = yaml.ignored === undefined ? [] : [yaml.ignored];
    const notices = noticesOf(raw, config);
    return { config, warnings: [...unset, ...ignored, ...warnings, ...urlWarnings(raw, yaml)], notices };
  } catch (error) {
    throw withLikelyCause(error, { unknown, unset, yaml });
  }
}

/** An empty value, as an unset variable leaves it, would disable the protection that these keys provide. */
const NEVER_EMPTY = ['addr-token', 'mcp-token'];

function checked(plain: unknown, yaml: YamlConfig): RawConfig {
  const empty = NEVER_EMPTY.find((key) => yaml.isEmpty([key]) || (isRecord(plain) && plain[key] === ''));
  if (empty !== undefined) {
    throw new LitestreamError(`${yaml.where([empty])}: ${empty} is empty`, {
      code: 'CONFIG_INVALID',
      hint: 'Set the variable that it names, or remove the key.',
    });
  }
  const result = configSchema.safeParse(plain);
  if (!result.success) {
    const [issue] = result.error.issues;
    const path = issue?.path ?? [];
    const name = path.length === 0 ? '' : `${formatPath(path)}: `;
    throw new LitestreamError(`${yaml.where(path)}: ${name}${describe(issue)}`, { code: 'CONFIG_INVALID' });
  }
  validateConfig(result.data, yaml.where);
  return result.data;
}

interface Suspects {
  readonly unknown: readonly UnknownKey[];
  readonly unset: readonly string[];
  readonly yaml: YamlConfig;
}

/** Adds the likely cause to the error: warnings about a refused config are not printed. */
function withLikelyCause(error: unknown, { unknown, unset, yaml }: Suspects): unknown {
  if (!isLitestreamError(error) || error.hint !== undefined) return error;
  const slips = unknown.filter(({ isSlip }) => isSlip).slice(0, SLIPS_MAX);
  const hints = slips.map(({ path, message }) => `${upperFirst(message)} (${yaml.whereKey(path)})`);
  const empty = emptySections(yaml).map((path) => `Nothing is indented below ${formatPath(path)}`);
  const hint = [...unset.slice(0, SLIPS_MAX), ...empty, ...hints].join('; ');
  if (hint === '') return error;
  return new LitestreamError(error.message, { code: error.code, hint: `${hint}.`, cause: error.cause });
}

/** Databases with an empty `replica:`, often because its settings are not indented far enough. */
function emptySections(yaml: YamlConfig): (readonly PropertyKey[])[] {
  const databases = isRecord(yaml.value) && Array.isArray(yaml.value['dbs']) ? yaml.value['dbs'] : [];
  return databases
    .flatMap((_, index) => ['replica', 'replicas'].map((key) => ['dbs', index, key]))
    .filter((path) => yaml.isEmpty(path))
    .slice(0, SLIPS_MAX);
}

function urlWarnings(raw: RawConfig, yaml: YamlConfig): string[] {
  return (raw.dbs ?? []).flatMap((database, index) =>
    replicasOf(database, ['dbs', index]).flatMap(([{ url }, path]) => {
      const warning = urlWarning(url ?? '');
      return warning === undefined ? [] : [`${yaml.where([...path, 'url'])}: ${warning}`];
    }),
  );
}

function upperFirst(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** A config of defaults only. */
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

function readText(file: string, alternative: string | undefined): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') {
      const rest = alternative === undefined ? '' : `, or ${alternative}`;
      const hint = `Name it with -config PATH or LITESTREAM_CONFIG${rest}.`;
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
