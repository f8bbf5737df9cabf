import { LitestreamError, trustedTls } from '@litestream/core/client';

import type { AbsOptions } from './options.ts';

/** Options with every default applied and checked. */
export interface AbsSettings {
  readonly bucket: string;
  readonly path: string;
  readonly endpoint: string;
  readonly login: Login;
  readonly partSize: number;
  readonly pageSize: number;
  readonly concurrency: number;
  /** The certificates to trust. */
  readonly tls: ReturnType<typeof trustedTls>;
}

/** How to log in: by SAS token, else by shared key, else by an identity of the machine. */
export type Login =
  | { readonly kind: 'sas'; readonly token: string }
  | { readonly kind: 'key'; readonly accountName: string; readonly accountKey: string }
  | { readonly kind: 'connectionString'; readonly connectionString: string }
  | { readonly kind: 'default' };

/** The name becomes part of a host name: other characters could lead to another server. A secondary ends with `-secondary`. */
const ACCOUNT_NAME = /^[a-z0-9][a-z0-9-]*$/i;
const PART_SIZE = 4 * 1024 * 1024;

export function resolveSettings(options: AbsOptions, env: Readonly<Record<string, string | undefined>>): AbsSettings {
  if (options.bucket === '') throw invalid('bucket required for abs replica');
  return {
    bucket: options.bucket,
    path: options.path ?? '',
    ...resolveLogin(options, env),
    partSize: options.partSize ?? PART_SIZE,
    pageSize: options.pageSize ?? 5000,
    concurrency: options.concurrency ?? 5,
    tls: trustedTls(env),
  };
}

/** The secrets in the settings, for redaction. */
export function secretsOf({ login }: AbsSettings): readonly string[] {
  if (login.kind === 'sas') return [login.token, ...(/[?&]?sig=([^&]+)/.exec(login.token)?.slice(1) ?? [])];
  if (login.kind === 'key') return [login.accountKey];
  if (login.kind !== 'connectionString') return [];
  const values = login.connectionString.split(';').map((part) => part.replace(/^[^=]*=/, ''));
  // The short ones are names and protocols.
  return [login.connectionString, ...values.filter((value) => value.length > 20)];
}

function resolveLogin(
  options: AbsOptions,
  env: Readonly<Record<string, string | undefined>>,
): Pick<AbsSettings, 'endpoint' | 'login'> {
  const { accountName } = options;
  const implied = accountName || options.endpoint ? undefined : env['AZURE_STORAGE_CONNECTION_STRING'];
  const connectionString = options.connectionString || implied;
  if (connectionString) return { endpoint: '', login: { kind: 'connectionString', connectionString } };
  if (!options.endpoint && !accountName) throw invalid('account-name is required when endpoint is not specified');
  if (!options.endpoint && accountName && !ACCOUNT_NAME.test(accountName)) {
    throw invalid('account-name of the abs replica may hold only letters, digits and hyphens');
  }
  const endpoint = (options.endpoint || `https://${accountName}.blob.core.windows.net`).replace(/\/+$/, '');
  const token = options.sasToken || env['LITESTREAM_AZURE_SAS_TOKEN'];
  if (token) return { endpoint, login: { kind: 'sas', token: token.replace(/^\?/, '') } };
  const accountKey = options.accountKey || env['LITESTREAM_AZURE_ACCOUNT_KEY'];
  if (accountKey && accountName) return { endpoint, login: { kind: 'key', accountName, accountKey } };
  if (options.accountKey) throw invalid('account-name is required with account-key');
  return { endpoint, login: { kind: 'default' } };
}

function invalid(message: string): LitestreamError {
  return new LitestreamError(message, { code: 'CONFIG_INVALID', backend: 'abs' });
}
