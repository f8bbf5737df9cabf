import { LitestreamError, loadSdk, malformedAnswer, trustedTls } from '@litestream/core/client';
import type OssSdk from 'ali-oss';

import { AbortableAgents } from './abortable-agent.ts';
import { keepDots } from './dots.ts';
import { CONCURRENCY, DEFAULT_REGION, METADATA_CONCURRENCY, PART_SIZE, PART_SIZE_MIN } from './options.ts';
import type { OssOptions } from './options.ts';
import { requireProof } from './proof.ts';

/** Limit of one request, long enough for a part over a slow line. Core has tighter limits for most calls. */
const REQUEST_TIMEOUT_MS = 300_000;

/** Bytes of an answer that is not an object. A page of a listing has some 500 kB. */
const DOCUMENT_SIZE_MAX = 32 << 20;

type Environment = Readonly<Record<string, string | undefined>>;

/** Options that the SDK's types leave out. */
interface SdkOptions extends OssSdk.Options {
  readonly sldEnable: boolean;
  readonly authorizationV4: boolean;
}

/** Options with every default filled in. */
export interface OssSettings {
  readonly bucket: string;
  /** Ends with a slash unless it is empty. Never begins with a slash: the service refuses such keys. */
  readonly prefix: string;
  readonly partSize: number;
  readonly concurrency: number;
  readonly metadataConcurrency: number;
  readonly secrets: readonly (string | undefined)[];
  /** The certificates to trust. */
  readonly tls: ReturnType<typeof trustedTls>;
  readonly sdk: SdkOptions;
}

/** @throws `CONFIG_INVALID` for options that cannot work */
export function resolveSettings(options: OssOptions, env: Environment): OssSettings {
  const region = (options.region ?? DEFAULT_REGION).replace(/^oss-/, '');
  const endpoint = endpointUrl(options.endpoint);
  const login = credentials(options, env);
  const path = (options.path ?? '').replace(/^\/+/, '');
  return {
    bucket: options.bucket,
    prefix: path === '' ? '' : `${path}/`,
    partSize: Math.max(options.partSize ?? PART_SIZE, PART_SIZE_MIN),
    concurrency: options.concurrency ?? CONCURRENCY,
    metadataConcurrency: options.metadataConcurrency ?? METADATA_CONCURRENCY,
    tls: trustedTls(env),
    secrets: [login.accessKeySecret, login.stsToken],
    sdk: {
      ...login,
      bucket: options.bucket,
      region: `oss-${region}`,
      ...(endpoint === undefined ? {} : { endpoint: endpoint.href }),
      secure: endpoint === undefined || endpoint.protocol === 'https:',
      internal: options.internal ?? false,
      sldEnable: options.forcePathStyle ?? isAddress(endpoint),
      authorizationV4: options.signatureVersion !== 1,
      timeout: REQUEST_TIMEOUT_MS,
    },
  };
}

/** The SDK's client and its connections. */
export class OssSession {
  readonly client: OssSdk;
  readonly settings: OssSettings;
  readonly #agents: AbortableAgents;

  static async open(settings: OssSettings): Promise<OssSession> {
    const { default: Sdk } = await loadSdk('ali-oss', () => import('ali-oss'));
    const agents = new AbortableAgents(settings.concurrency + settings.metadataConcurrency, settings.tls);
    const { accessKeyId, accessKeySecret, stsToken } = settings.sdk;
    const refreshed = { accessKeyId, accessKeySecret, stsToken: stsToken ?? '' };
    const options: SdkOptions & { agent: unknown; httpsAgent: unknown } = {
      ...settings.sdk,
      agent: agents.http,
      httpsAgent: agents.https,
      // Without this the SDK prints a warning to the console.
      ...(stsToken === undefined ? {} : { refreshSTSToken: () => Promise.resolve(refreshed) }),
    };
    return new OssSession(requireProof(keepDots(new Sdk(options))), settings, agents);
  }

  private constructor(client: OssSdk, settings: OssSettings, agents: AbortableAgents) {
    this.client = client;
    this.settings = settings;
    this.#agents = agents;
  }

  /**
   * Calls the SDK. An abort destroys the request and rejects with the signal's reason. `isDownload`: the answer is a stream, of any
   * length.
   */
  async run<T>(
    signal: AbortSignal | undefined,
    work: (client: OssSdk) => Promise<T>,
    { isDownload = false }: { readonly isDownload?: boolean } = {},
  ): Promise<T> {
    const limits = { signal, sizeMax: isDownload ? Infinity : DOCUMENT_SIZE_MAX };
    return await this.#agents.run(limits, tooLong, () => work(this.client));
  }

  close(): void {
    this.#agents.close();
  }
}

function tooLong(): LitestreamError {
  return malformedAnswer('oss', 'it is too long');
}

function endpointUrl(endpoint: string | undefined): URL | undefined {
  if (endpoint === undefined || endpoint === '') return undefined;
  const url = URL.parse(/^https?:\/\//.test(endpoint) ? endpoint : `https://${endpoint}`);
  if (url !== null && url.username === '') return url;
  throw new LitestreamError('endpoint of the oss replica must be an http or https URL, without credentials', {
    code: 'CONFIG_INVALID',
    backend: 'oss',
  });
}

/** An IP address or a loopback name has no subdomain for the bucket. */
function isAddress(endpoint: URL | undefined): boolean {
  const host = endpoint?.hostname ?? '';
  return host === 'localhost' || host.startsWith('[') || /^\d+(?:\.\d+){3}$/.test(host);
}

/** Keys of the config, else of the environment, under the names that Alibaba's tools use. */
function credentials(
  options: OssOptions,
  env: Environment,
): { accessKeyId: string; accessKeySecret: string; stsToken?: string } {
  const sources = [
    [options.accessKeyId, options.secretAccessKey, options.sessionToken],
    [env['OSS_ACCESS_KEY_ID'], env['OSS_ACCESS_KEY_SECRET'], env['OSS_SESSION_TOKEN']],
    [env['ALIBABA_CLOUD_ACCESS_KEY_ID'], env['ALIBABA_CLOUD_ACCESS_KEY_SECRET'], env['ALIBABA_CLOUD_SECURITY_TOKEN']],
  ] as const;
  for (const [id = '', secret = '', token = ''] of sources) {
    if (id === '' || secret === '') continue;
    return { accessKeyId: id, accessKeySecret: secret, ...(token === '' ? {} : { stsToken: token }) };
  }
  throw new LitestreamError('no credentials for the oss replica', {
    code: 'UNAUTHORIZED',
    backend: 'oss',
    hint: 'Set access-key-id and secret-access-key, or OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET.',
  });
}
