/** The SDK of the Model Context Protocol, an optional peer of this package: few users serve an assistant. */
import type * as sdkModule from '@modelcontextprotocol/server';
import type * as stdioModule from '@modelcontextprotocol/server/stdio';
import { LitestreamError } from '@litestream/core';
import { version } from '../util/version.ts';
import type { ToolsOptions } from './tools.ts';

const NAME = '@modelcontextprotocol/server';

/** Limit of one request, in bytes. */
export const MESSAGE_LENGTH_MAX: number = 1 << 20;

export type Sdk = typeof sdkModule;

/** @param needs names the feature that needs the SDK, for the error that explains how to install it */
export async function loadSdk(needs: string): Promise<{ readonly sdk: Sdk; readonly stdio: typeof stdioModule }> {
  try {
    const sdk = await import('@modelcontextprotocol/server');
    return { sdk, stdio: await import('@modelcontextprotocol/server/stdio') };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new LitestreamError(`${needs} needs the package ${NAME}, which is not installed`, {
      code: 'PLUGIN_SDK_MISSING',
      object: NAME,
      hint: `Run: npm i ${NAME}@2`,
    });
  }
}

/** Creates a server with the tools for each client. */
export async function serverFactory(sdk: Sdk, options: ToolsOptions): Promise<() => sdkModule.McpServer> {
  const { registerTools } = await import('./tools.ts');
  return () => {
    const server = new sdk.McpServer({ name: 'Litestream MCP Server', version: version() });
    registerTools(server, options);
    return server;
  };
}
