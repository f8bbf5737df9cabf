/**
 * Which endpoints may get credentials of the environment. URLs of the config are trusted. A URL in a request may name any
 * server, which would get signed requests, and from some backends the credential itself.
 */
import { LitestreamError, parseReplicaUrl, redact } from '@litestream/core';
import type { PluginRegistry } from '@litestream/core';
import type { ReplicaConfig } from '../config/types.ts';

/** Settings that are credentials of the URL's own. Paths of files are not: those files belong to this machine. */
const OWN_CREDENTIALS: readonly (readonly string[])[] = [
  ['access-key-id', 'secret-access-key'],
  ['account-name', 'account-key'],
  ['sas-token'],
  ['connection-string'],
];

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
  const isChosen = endpoint.startsWith('http:') || parseReplicaUrl(replica.url ?? '').query.has('endpoint');
  if (!isChosen || OWN_CREDENTIALS.some((keys) => keys.every((key) => isSet(settings[key])))) return;
  if (allowed.some((each) => originOf(each) === endpoint)) return;
  for (const each of known) if (endpointOf(await settingsOf(each, registry)) === endpoint) return;
  throw new LitestreamError(`the endpoint ${redact(endpoint)} is not one of the config, so it gets no credentials`, {
    code: 'CONFIG_INVALID',
    hint: `Add it to socket.endpoints in the config, or put credentials into the URL.`,
  });
}

/** Settings from the replica's URL and keys, under their YAML names. */
async function settingsOf({ url, type, settings }: ReplicaConfig, registry: PluginRegistry): Promise<Settings> {
  if (url === undefined || type === 'file') return settings;
  const parsed = parseReplicaUrl(url);
  const plugin = await registry.plugin(parsed.scheme);
  const implied = plugin.configFromUrl?.(parsed) ?? Object.fromEntries(parsed.query);
  const all = Object.entries({ ...implied, ...settings });
  return Object.fromEntries(all.map(([name, value]) => [kebab(name), value]));
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

function kebab(name: string): string {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replaceAll('_', '-')
    .toLowerCase();
}
