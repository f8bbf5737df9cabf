/** Reads the fields of a replica config from any source: YAML, a URL's query, or an object of the application. */
import { LitestreamError } from '../util/error.ts';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/**
 * Fields are looked up without regard to case and hyphens, so `part-size`, `partSize` and `PartSize` are the same
 * field. Empty strings count as absent, as in the YAML of Litestream (Go). A value of the wrong kind is refused with
 * `CONFIG_INVALID`; messages name the field and never its value, which may be a secret.
 */
export class ConfigReader {
  readonly #fields: ReadonlyMap<string, { readonly name: string; readonly value: unknown }>;
  readonly #type: string;

  /** @param type of the replica, for messages */
  constructor(config: unknown, type: string) {
    this.#type = type;
    if (typeof config !== 'object' || config === null || Array.isArray(config)) {
      throw this.#invalid('the config of the replica is not a set of fields');
    }
    this.#fields = new Map(Object.entries(config).map(([name, value]) => [normalize(name), { name, value }]));
  }

  /** Throws for an absent field with the message of Litestream (Go): `bucket required for s3 replica`. */
  required(name: string): string {
    const value = this.string(name);
    if (value === undefined) throw this.#invalid(`${name} required for ${this.#type} replica`);
    return value;
  }

  string(name: string): string | undefined {
    const value = this.#get(name);
    if (value === undefined || value === '') return undefined;
    if (typeof value === 'string') return value;
    // YAML reads an unquoted user or key of digits as a number.
    if (typeof value === 'number' || typeof value === 'bigint') return String(value);
    throw this.#wrong(name, 'a text');
  }

  strings(name: string): readonly string[] | undefined {
    const value = this.#get(name);
    if (value === undefined || value === '') return undefined;
    if (typeof value === 'string') return [value];
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
    throw this.#wrong(name, 'a list of texts');
  }

  boolean(name: string): boolean | undefined {
    const value = this.#get(name);
    if (value === undefined || value === '') return undefined;
    if (typeof value === 'boolean') return value;
    const text = typeof value === 'string' || typeof value === 'number' ? String(value).toLowerCase() : '';
    if (['true', '1', 't', 'yes', 'on'].includes(text)) return true;
    if (['false', '0', 'f', 'no', 'off'].includes(text)) return false;
    throw this.#wrong(name, 'true or false');
  }

  /** A whole number of at least `min`. */
  integer(name: string, min = 1): number | undefined {
    const value = this.#get(name);
    if (value === undefined || value === '') return undefined;
    const number = typeof value === 'string' && /^[+-]?\d+$/.test(value) ? Number(value) : value;
    if (typeof number === 'number' && Number.isSafeInteger(number) && number >= min) return number;
    throw this.#wrong(name, min === 1 ? 'a positive integer' : `an integer of at least ${min}`);
  }

  /** A number of bytes: `5242880`, `5MB` (millions) or `5MiB`. */
  bytes(name: string): number | undefined {
    const value = this.#get(name);
    if (value === undefined || value === '') return undefined;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
    const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(value.trim()) : null;
    const unit = match === null ? undefined : UNITS[(match[2] ?? '').toLowerCase()];
    const bytes = unit === undefined ? 0 : Math.floor(Number(match?.[1]) * unit);
    if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
    throw this.#wrong(name, 'a size such as 5242880, 5MB or 5MiB');
  }

  #get(name: string): unknown {
    return this.#fields.get(normalize(name))?.value ?? undefined;
  }

  #wrong(name: string, expected: string): LitestreamError {
    const written = this.#fields.get(normalize(name))?.name ?? name;
    return this.#invalid(`${written} of the ${this.#type} replica must be ${expected}`);
  }

  #invalid(message: string): LitestreamError {
    return new LitestreamError(message, { code: 'CONFIG_INVALID', backend: this.#type });
  }
}

function normalize(name: string): string {
  return name.replaceAll(/[-_]/g, '').toLowerCase();
}
