import type { ReplicaUrl } from '@litestream/core/client';

import { ensureEndpointScheme } from './endpoint.ts';

const AWS = /^(.+)\.s3(?:\.([^.]+))?\.amazonaws\.com$/;
const DIGITALOCEAN = /^(?:(.+)\.)?([^.]+)\.digitaloceanspaces\.com$/;
const BACKBLAZE = /^(?:(.+)\.)?s3\.([^.]+)\.backblazeb2\.com$/;
const FILEBASE = /^(?:(.+)\.)?s3\.filebase\.com$/;
const SCALEWAY = /^(?:(.+)\.)?s3\.([^.]+)\.scw\.cloud$/;
/** Each branch of a project has an endpoint of its own, with the bucket before it. */
const NEON = /^(.+)\.(br-[^.]+\.storage\.[^.]+\.([^.]+)\.[^.]+\.neon\.tech)$/;

/** Settings from the host of a URL; missing ones are absent. */
interface S3Host {
  readonly bucket?: string | undefined;
  readonly region?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly forcePathStyle?: boolean | undefined;
}

/**
 * Config of a replica URL: `s3://bucket/path`, `s3://bucket.host:port/path`, `s3://bucket.s3.REGION.amazonaws.com/path`
 * and the same of other providers, `s3://arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME/path`; options as a query.
 */
export function s3ConfigFromUrl(url: ReplicaUrl): Record<string, unknown> {
  const query = new Map([...url.query].map(([name, value]) => [kebab(name), value]));
  const endpoint = query.get('endpoint') ?? '';
  const host = /^arn:/i.test(url.host)
    ? { bucket: url.host, region: url.host.split(':')[3] }
    : parseHost(url.host, endpoint !== '');
  // A server with an endpoint of its own nearly always supports only path style.
  const own = endpoint === '' ? {} : { endpoint: ensureEndpointScheme(endpoint), forcePathStyle: true };
  const implied = Object.entries({ ...host, ...own, path: pathOf(url) }).map(([name, value]) => [kebab(name), value]);
  const { endpoint: _, ...rest } = Object.fromEntries(query);
  return { ...Object.fromEntries(implied), ...rest };
}

/** A bucket alone means the path `.`, as in Litestream (Go): keys begin with `./`. */
function pathOf({ hasPath, path }: ReplicaUrl): string {
  return hasPath === false ? '.' : path;
}

/** The YAML spelling of a name, so that a URL and the config beside it never have one option under two names. */
function kebab(name: string): string {
  return name.replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2').toLowerCase();
}

/** Bucket, region, endpoint and addressing from the host of a URL. `hasEndpoint`: the URL also has an endpoint option. */
function parseHost(host: string, hasEndpoint: boolean): S3Host {
  if (host.includes(':') && !host.includes('.com')) {
    const dot = host.indexOf('.');
    // `127.0.0.1:9000` or `localhost:9000` names no bucket, `bucket.127.0.0.1:9000` does.
    if (dot === -1) return { endpoint: `http://${host}`, forcePathStyle: true };
    const endpoint = `http://${host.slice(dot + 1)}`;
    return { bucket: host.slice(0, dot), region: 'us-east-1', endpoint, forcePathStyle: true };
  }
  let match = AWS.exec(host);
  if (match !== null) return { bucket: match[1], region: match[2] };
  match = DIGITALOCEAN.exec(host);
  if (match !== null) {
    return {
      bucket: match[1],
      region: match[2],
      endpoint: `https://${match[2]}.digitaloceanspaces.com`,
      forcePathStyle: false,
    };
  }
  match = BACKBLAZE.exec(host);
  if (match !== null) {
    const endpoint = `https://s3.${match[2]}.backblazeb2.com`;
    return { bucket: match[1], region: match[2], endpoint, forcePathStyle: true };
  }
  match = FILEBASE.exec(host);
  if (match !== null) return { bucket: match[1], endpoint: 'https://s3.filebase.com', forcePathStyle: true };
  match = SCALEWAY.exec(host);
  if (match !== null) {
    return { bucket: match[1], region: match[2], endpoint: `https://s3.${match[2]}.scw.cloud`, forcePathStyle: false };
  }
  match = hasEndpoint ? null : NEON.exec(host);
  if (match !== null) {
    return { bucket: match[1], region: match[3], endpoint: `https://${match[2]}`, forcePathStyle: true };
  }
  return { bucket: host };
}
