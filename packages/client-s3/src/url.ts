import { LitestreamError } from '@litestream/core';

import { ensureEndpointScheme } from './endpoint.ts';
import type { S3Options } from './options.ts';

const AWS = /^(.+)\.s3(?:\.([^.]+))?\.amazonaws\.com$/;
const DIGITALOCEAN = /^(?:(.+)\.)?([^.]+)\.digitaloceanspaces\.com$/;
const BACKBLAZE = /^(?:(.+)\.)?s3\.([^.]+)\.backblazeb2\.com$/;
const FILEBASE = /^(?:(.+)\.)?s3\.filebase\.com$/;
const SCALEWAY = /^(?:(.+)\.)?s3\.([^.]+)\.scw\.cloud$/;

/** What a URL says; a field it does not mention is absent. */
export type S3UrlOptions = Partial<S3Options>;

/**
 * Reads a replica URL: `s3://bucket/path`, `s3://bucket.host:port/path`, `s3://bucket.s3.REGION.amazonaws.com/path` and
 * the like of other providers, `s3://arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME/path`, each with options as a query.
 */
export function parseS3Url(text: string): S3UrlOptions {
  if (/^s3:\/\/arn:/i.test(text)) return parseAccessPoint(text);
  const url = URL.parse(text);
  if (url === null || url.protocol !== 's3:') throw invalid(`not an s3 URL: ${redacted(text)}`);
  const host = parseHost(decodeURIComponent(url.host));
  return compact({
    ...host,
    path: cleanPath(decodeURIComponent(url.pathname)),
    ...queryOptions(url.searchParams, host),
  });
}

/** Bucket, region, endpoint and addressing that the host of a URL stands for. */
export function parseHost(host: string): S3UrlOptions {
  if (host.includes(':') && !host.includes('.com')) {
    const dot = host.indexOf('.');
    if (dot === -1) return { endpoint: `http://${host}`, forcePathStyle: true };
    const endpoint = `http://${host.slice(dot + 1)}`;
    return { bucket: host.slice(0, dot), region: 'us-east-1', endpoint, forcePathStyle: true };
  }
  let match = AWS.exec(host);
  if (match !== null) return compact({ bucket: match[1], region: match[2] });
  match = DIGITALOCEAN.exec(host);
  if (match !== null) {
    return compact({ bucket: match[1], region: match[2], endpoint: `https://${match[2]}.digitaloceanspaces.com` });
  }
  match = BACKBLAZE.exec(host);
  if (match !== null) {
    const endpoint = `https://s3.${match[2]}.backblazeb2.com`;
    return compact({ bucket: match[1], region: match[2], endpoint, forcePathStyle: true });
  }
  match = FILEBASE.exec(host);
  if (match !== null) return compact({ bucket: match[1], endpoint: 'https://s3.filebase.com' });
  match = SCALEWAY.exec(host);
  if (match !== null) {
    return compact({ bucket: match[1], region: match[2], endpoint: `https://s3.${match[2]}.scw.cloud` });
  }
  return compact({ bucket: host === '' ? undefined : host });
}

function parseAccessPoint(text: string): S3UrlOptions {
  const [rest = '', query = ''] = text.slice('s3://'.length).split(/\?(.*)/s);
  const match = /^(.*?:accesspoint\/[^/]+)(?:\/(.*))?$/is.exec(rest);
  const bucket = match?.[1];
  if (bucket === undefined) throw invalid(`invalid s3 access point ARN: ${rest}`);
  const region = bucket.split(':')[3];
  return compact({
    bucket,
    region,
    path: cleanPath(match?.[2] ?? ''),
    ...queryOptions(new URLSearchParams(query), {}),
  });
}

function queryOptions(query: URLSearchParams, host: S3UrlOptions): S3UrlOptions {
  const get = (...names: string[]): string | undefined =>
    names.map((name) => query.get(name) ?? '').find((value) => value !== '');
  const bool = (...names: string[]): boolean | undefined => {
    const value = get(...names)?.toLowerCase();
    return value === undefined ? undefined : ['true', '1', 't', 'yes'].includes(value);
  };
  const positive = (...names: string[]): number | undefined => {
    const value = get(...names);
    if (value === undefined) return undefined;
    if (!/^[+]?0*[1-9]\d*$/.test(value)) {
      throw invalid(`invalid value for query parameter ${names[0]}: "${value}" (must be a positive integer)`);
    }
    return Number(value);
  };
  const endpoint = get('endpoint');
  return compact({
    endpoint: endpoint === undefined ? undefined : ensureEndpointScheme(endpoint),
    forcePathStyle: bool('forcePathStyle', 'force-path-style') ?? (endpoint === undefined ? host.forcePathStyle : true),
    region: get('region'),
    skipVerify: bool('skipVerify', 'skip-verify'),
    signPayload: bool('signPayload', 'sign-payload'),
    requireContentMd5: bool('requireContentMD5', 'require-content-md5'),
    concurrency: positive('concurrency'),
    partSize: positive('partSize', 'part-size'),
    storageClass: get('storageClass', 'storage-class'),
    sseCustomerAlgorithm: get('sseCustomerAlgorithm', 'sse-customer-algorithm'),
    sseCustomerKey: get('sseCustomerKey', 'sse-customer-key'),
    sseKmsKeyId: get('sseKmsKeyId', 'sse-kms-key-id'),
  });
}

/** Resolves `.`, `..` and doubled slashes, and drops the slashes at both ends. */
function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function compact(options: { [K in keyof S3Options]?: S3Options[K] | undefined }): S3UrlOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function invalid(message: string): LitestreamError {
  return new LitestreamError(message, { code: 'CONFIG_INVALID' });
}

/** A query may hold a customer key, and what stands before an `@` a password. */
function redacted(url: string): string {
  return url.replace(/\?.*$/s, '?…').replace(/\/\/[^/]*@/, '//…@');
}
