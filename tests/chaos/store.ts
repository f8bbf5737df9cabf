/** Where a life's replica is: a folder, or a bucket behind a proxy that fails on demand. */
import { rm } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { S3TestServer } from '../../packages/client-s3/test/s3-server.ts';
import type { Random } from '../support/random.ts';
import { giveBack, makeRemovable, takeAway } from '../support/removable.ts';
import { FaultyProxy } from './faulty-proxy.ts';

export type ReplicaSettings = Readonly<Record<string, string>>;

export interface Store extends AsyncDisposable {
  readonly kind: 'folder' | 'bucket';
  /** For the process under test, in the keys of the config. */
  readonly settings: ReplicaSettings;
  /** For proofs: no fault reaches these requests. */
  readonly direct: ReplicaSettings;
  /** Undefined for a folder. */
  readonly proxy: FaultyProxy | undefined;
  /** Makes it unreachable, until `heal`. */
  cutOff(): void;
  heal(): void;
  /** Names of all that is there. */
  names(): readonly string[];
  remove(name: string): Promise<void>;
}

class FolderStore implements Store {
  readonly kind = 'folder';
  readonly proxy = undefined;
  readonly settings: ReplicaSettings;
  readonly direct: ReplicaSettings;
  readonly #folder: string;
  #isCutOff = false;

  constructor(path: string) {
    makeRemovable(path);
    this.#folder = path;
    this.settings = { type: 'file', path };
    this.direct = { type: 'file', path: `${path}.away` };
  }

  cutOff(): void {
    this.#isCutOff = true;
    takeAway(this.#folder);
  }

  heal(): void {
    if (this.#isCutOff) giveBack(this.#folder);
    this.#isCutOff = false;
  }

  names(): string[] {
    const entries = readdirSync(`${this.#folder}.away`, { recursive: true, withFileTypes: true });
    return entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []));
  }

  async remove(name: string): Promise<void> {
    await rm(name, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.heal();
    await Promise.resolve();
  }
}

class BucketStore implements Store {
  readonly kind = 'bucket';
  readonly proxy: FaultyProxy;
  readonly settings: ReplicaSettings;
  readonly direct: ReplicaSettings;
  readonly #server: S3TestServer;

  constructor(server: S3TestServer, proxy: FaultyProxy) {
    this.#server = server;
    this.proxy = proxy;
    // It remembers every request, for tests that look at them.
    server.fault = () => {
      server.calls.length = 0;
      return undefined;
    };
    const { accessKeyId, secretAccessKey, region } = server;
    const login = { 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey, region };
    const place = { type: 's3', bucket: 'litestream', path: 'app' };
    this.settings = { ...place, endpoint: proxy.endpoint, ...login };
    this.direct = { ...place, endpoint: server.endpoint, ...login };
  }

  cutOff(): void {
    this.proxy.cutOff();
  }

  heal(): void {
    this.proxy.heal();
  }

  names(): string[] {
    return this.#server.keys();
  }

  async remove(name: string): Promise<void> {
    this.#server.buckets.get('litestream')?.delete(name);
    await Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
  }
}

export async function openStore(kind: Store['kind'], folder: string, random: Random): Promise<Store> {
  if (kind === 'folder') return new FolderStore(join(folder, 'replica'));
  const server = await S3TestServer.start();
  return new BucketStore(server, await FaultyProxy.start(server.endpoint, random));
}

/** Level of an LTX file by its name: `…/LEVEL/MIN-MAX.ltx`; undefined for anything else. */
export function levelOf(name: string): number | undefined {
  const [, level] = /\/(\d{1,4})\/[0-9a-f]{16}-[0-9a-f]{16}\.ltx$/.exec(name) ?? [];
  return level === undefined ? undefined : Number(level);
}
