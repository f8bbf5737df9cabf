/** `host:port` of a config, as Go writes it: `:9090` is every interface, `[::1]:9090` an IPv6 address. */
export interface Address {
  /** Undefined: every interface. */
  readonly host: string | undefined;
  readonly port: number;
}

/** @throws Error if the text is not an address. */
export function parseAddress(text: string): Address {
  const found = /^(?:\[([^\]]+)\]|([^:]*)):(\w+)$/.exec(text);
  const port = found?.[3] === 'http' ? 80 : Number(found?.[3]);
  if (found === null || !Number.isInteger(port) || port > 65_535) {
    throw new Error(`not an address to listen on: "${text}", write it like 127.0.0.1:9090 or :9090`);
  }
  return { host: found[1] ?? (found[2] || undefined), port };
}

/** The host for a URL that reaches the address from this machine. */
export function hostText({ host }: Address): string {
  if (host === undefined) return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}
