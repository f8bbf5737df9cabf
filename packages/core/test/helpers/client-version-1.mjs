/**
 * A client and its plugin as somebody published them for version 1 of the contract: plain JavaScript, with nothing of
 * core but the contract's words. Do not bring it up to date: that it works as it is, is the point.
 */

/** @type {Map<string, Map<string, { bytes: Buffer, version: number }>>} */
const places = new Map();
let versions = 0;

export class ClientVersion1 {
  type = 'old';
  capabilities = {};
  #place;

  constructor(path) {
    this.#place = path;
  }

  async init(options) {
    options?.signal?.throwIfAborted();
  }

  get #files() {
    return places.get(this.#place) ?? new Map();
  }

  async *ltxFiles(level, query) {
    const found = [...this.#files.entries()].filter(([name]) => name.startsWith(`${level}/`)).sort(byName);
    for (const [name, { bytes, version }] of found) {
      query?.signal?.throwIfAborted();
      const [minTxid, maxTxid] = name
        .slice(2)
        .split('-')
        .map((hex) => BigInt(`0x${hex}`));
      if (minTxid < (query?.seek ?? 0n)) continue;
      yield { level, minTxid, maxTxid, size: bytes.length, timestamp: new Date(), version: String(version) };
    }
    query?.signal?.throwIfAborted();
  }

  async openLtxFile(file, range) {
    range?.signal?.throwIfAborted();
    const found = this.#files.get(nameOf(file));
    if (found === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    const { offset = 0, size = Infinity } = range ?? {};
    return pieces(found.bytes.subarray(offset, Math.min(offset + size, found.bytes.length)), range?.signal);
  }

  async writeLtxFile(file, body, options) {
    options?.signal?.throwIfAborted();
    const chunks = [];
    for await (const chunk of body.open()) {
      options?.signal?.throwIfAborted();
      chunks.push(Buffer.from(chunk));
    }
    options?.signal?.throwIfAborted();
    const bytes = Buffer.concat(chunks);
    if (body.size !== undefined && body.size !== bytes.length) {
      throw Object.assign(new Error('not as long as announced'), { code: 'ENAMETOOLONG' });
    }
    if (!places.has(this.#place)) places.set(this.#place, new Map());
    const version = ++versions;
    places.get(this.#place).set(nameOf(file), { bytes, version });
    const { level, minTxid, maxTxid, timestamp } = file;
    return { level, minTxid, maxTxid, size: bytes.length, timestamp, version: String(version) };
  }

  async deleteLtxFiles(files, options) {
    options?.signal?.throwIfAborted();
    for (const file of files) this.#files.delete(nameOf(file));
  }

  async deleteAll(options) {
    options?.signal?.throwIfAborted();
    places.delete(this.#place);
  }

  async [Symbol.asyncDispose]() {}
}

export default {
  name: 'litestream-client-old',
  apiVersion: 1,
  schemes: ['old'],
  types: ['old'],
  configSchema: { parse: (config) => config },
  create: (config) => new ClientVersion1(config.path),
};

const hex = (txid) => txid.toString(16).padStart(16, '0');
const nameOf = ({ level, minTxid, maxTxid }) => `${level}/${hex(minTxid)}-${hex(maxTxid)}`;
const byName = ([a], [b]) => (a < b ? -1 : 1);

async function* pieces(bytes, signal) {
  for (let at = 0; at < bytes.length; at += 65_536) {
    signal?.throwIfAborted();
    yield bytes.subarray(at, at + 65_536);
  }
  signal?.throwIfAborted();
}
