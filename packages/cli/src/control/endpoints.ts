/**
 * Which endpoints may get credentials of the environment. URLs of the config are trusted. A URL in a request may name any
 * server, which would get signed requests, and from some backends the credential itself.
 */
import { LitestreamError, parseReplicaUrl, redact } from '@litestream/core';
import type { PluginRegistry } from '@litestream/core';
import type { ReplicaConfig } from '../config/types.ts';

/**
 * Credentials that a URL can bring itself, by the type of the replica. With one of these sets, a client uses no credentials of the
 * environment. Paths of files do not count: those files belong to this machine. Other types have no known setting of this kind.
 */
const OWN_CREDENTIALS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  s3: [['accesskeyid', 'secretaccesskey']],
  oss: [['accesskeyid', 'secretaccesskey']],
  abs: [['sastoken'], ['connectionstring'], ['accountname', 'accountkey']],
};

/**
 * Refuses a replica of a request if neither the config nor `allowed` names its endpoint, unless the replica has its own
 * credentials.
 *
 * @param known Replicas of the config
 * @param allowed `https://name:port`, `http://name:port`, or a name alone for https
 * @throws LitestreamError `CONFIG_INVALID`
 */
export async function checkEndpoint(
  replica: ReplicaConfig,
  registry: PluginRegistry,
  { known, allowed }: { readonly known: readonly ReplicaConfig[]; readonly allowed: readonly string[] },
): Promise<void> {
  const settings = await settingsOf(replica, registry);
  const endpoint = endpointOf(settings);
  if (endpoint === undefined) return;
  // An endpoint that a client derives from the URL's host belongs to a known provider, and is encrypted.
  const derived = endpointOf(await settingsOf(replica, registry, { withQuery: false }));
  if (endpoint === derived && endpoint.startsWith('https:')) return;
  if (hasOwnCredentials(replica.type, settings)) return;
  if (allowed.some((each) => originOf(each) === endpoint)) return;
  for (const each of known) if (endpointOf(await settingsOf(each, registry)) === endpoint) return;
  throw new LitestreamError(`the endpoint ${redact(endpoint)} is not one of the config, so it gets no credentials`, {
    code: 'CONFIG_INVALID',
    hint: `Add it to socket.endpoints in the config, or put credentials into the URL.`,
  });
}

function hasOwnCredentials(type: string, settings: Settings): boolean {
  return (OWN_CREDENTIALS[type] ?? []).some((keys) => {
    // The client prefers a token of the environment to an account key.
    if (keys.includes('accountkey') && isSet(process.env['LITESTREAM_AZURE_SAS_TOKEN'])) return false;
    return keys.every((key) => isSet(settings[key]));
  });
}

/** Settings from the replica's URL and keys, under the names that `ConfigReader` looks them up by. */
async function settingsOf(
  { url, type, settings }: ReplicaConfig,
  registry: PluginRegistry,
  { withQuery = true }: { readonly withQuery?: boolean } = {},
): Promise<Settings> {
  const implied = url === undefined || type === 'file' ? {} : await impliedBy(url, registry, withQuery);
  const all = Object.entries({ ...implied, ...settings });
  return Object.fromEntries(all.map(([name, value]) => [normalized(name), value]));
}

async function impliedBy(url: string, registry: PluginRegistry, withQuery: boolean): Promise<Settings> {
  const parsed = parseReplicaUrl(url);
  const { scheme, query } = withQuery ? parsed : { ...parsed, query: new Map<string, string>() };
  const plugin = await registry.plugin(scheme);
  return plugin.configFromUrl?.({ ...parsed, query }) ?? Object.fromEntries(query);
}

type Settings = Readonly<Record<string, unknown>>;

function endpointOf({ endpoint }: Settings): string | undefined {
  return isSet(endpoint) ? originOf(endpoint) : undefined;
}

/** `scheme://host:port`. A text that is no URL is returned unchanged, and equals no origin. */
function originOf(endpoint: string): string {
  const url = URL.parse(/^\w+:\/\//.test(endpoint) ? endpoint : `https://${endpoint}`);
  return url === null ? endpoint : url.origin;
}

function isSet(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

/** As `ConfigReader` does: `end_point` and `Endpoint` are one key. */
function normalized(name: string): string {
  return name.replaceAll(/[-_]/g, '').toLowerCase();
}
