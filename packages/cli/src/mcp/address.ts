/** Reads `mcp-addr`, and decides whether it may be served. */
import { LitestreamError } from '@litestream/core';
import { expandPath } from '../config/paths.ts';
import { hostText, parseAddress } from '../http/address.ts';

/** Without a host, only this machine is served. */
const LOOPBACK = '127.0.0.1';

export type McpAddress =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly token: string };

/**
 * A Unix socket is guarded by its permissions. An address of the network is open to every user of this machine, and to
 * every page in a browser on it, so it needs a token.
 *
 * @throws LitestreamError `CONFIG_INVALID` if it must not be served, Error if it is no address
 */
export function mcpAddressOf(addr: string, token: string | undefined): McpAddress {
  const [, path] = /^unix:(?:\/\/)?(.+)$/.exec(addr) ?? [];
  if (path !== undefined) return { kind: 'socket', path: expandPath(path) };
  const { host = LOOPBACK, port } = parseAddress(addr);
  if (token !== undefined) return { kind: 'tcp', host, port, token };
  throw new LitestreamError(`mcp-addr ${hostText({ host, port })}:${port} would serve every client that reaches it`, {
    code: 'CONFIG_INVALID',
    hint: 'Set mcp-token (made with: openssl rand -hex 24), or mcp-addr: unix:///run/litestream/mcp.sock.',
  });
}
