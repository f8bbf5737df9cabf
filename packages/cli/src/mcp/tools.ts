/**
 * The tools, with the names of Litestream (Go). Each runs a command of the CLI with the config of the daemon. A request
 * can name databases of that config and nothing else: no config, plugin, variable or replica of its own.
 */
import { z } from 'zod';
import { LitestreamError } from '@litestream/core';
import type { McpServer, CallToolResult } from '@modelcontextprotocol/server';
import { expandPath } from '../config/paths.ts';
import type { DatabaseConfig } from '../config/types.ts';
import { describeError } from '../util/describe-error.ts';
import { databaseOf } from '../databases/directory.ts';
import { answer, failure, reasonOf, success } from './answer.ts';
import type { CommandRunner } from './command.ts';
import { outputPath } from './output.ts';

export interface ToolsOptions {
  /** The config that the daemon runs with. */
  readonly configPath: string;
  /** Whether the daemon leaves variables in the config as they are. */
  readonly noExpandEnv: boolean;
  /** The databases of the config as last read. */
  readonly databases: () => readonly DatabaseConfig[];
  /** The folder for restored databases. */
  readonly outputDir: string | undefined;
  readonly commands: CommandRunner;
}

/** A value that begins with a dash would be taken for a flag. */
const word = z.string().min(1).regex(/^[^-]/, 'must not begin with -');
const database = word.describe('Path of a database in the config.');

/** Rejects arguments that no tool has: a misspelt one would silently restore something else. */
const schemas = {
  info: z.strictObject({}),
  databases: z.strictObject({}),
  restore: z.strictObject({
    path: database,
    o: z.string().min(1).optional().describe('Name of the file in mcp-output-dir. Defaults to that of the database.'),
    txid: z.string().optional().describe('Restore up to this transaction, 16 hex digits.'),
    timestamp: z.string().optional().describe('Restore to this point in time, RFC 3339.'),
    parallelism: z.string().optional().describe('Deprecated and without effect: accepted for compatibility.'),
    if_db_not_exists: z.boolean().optional().describe('Succeed without restoring if the output exists already.'),
    if_replica_exists: z.boolean().optional().describe('Succeed without restoring if there is no backup.'),
  }),
  ltx: z.strictObject({ path: database }),
  version: z.strictObject({}),
  status: z.strictObject({ path: database.optional().describe('Only this database.') }),
  reset: z.strictObject({ path: word.describe('Path of the database whose local state is removed.') }),
};

export function registerTools(server: McpServer, options: ToolsOptions): void {
  const { commands, configPath, noExpandEnv, outputDir } = options;
  const configFlags = [`-config=${configPath}`, ...(noExpandEnv ? ['-no-expand-env'] : [])];
  const flag = (name: string, value: string | boolean | undefined): string[] =>
    value === undefined ? [] : [`-${name}=${value}`];
  const configured = (path: string): string => configuredPath(options.databases(), path);
  const readOnly = { readOnlyHint: true };

  server.registerTool(
    'litestream_info',
    {
      description: 'A summary: version, config, databases with their replicas, and the LTX files of each database.',
      inputSchema: schemas.info,
      annotations: readOnly,
    },
    async (_, { mcpReq: { signal } }) => info(options, configFlags, signal),
  );
  server.registerTool(
    'litestream_databases',
    {
      description: 'Lists the databases of the config file and their replicas.',
      inputSchema: schemas.databases,
      annotations: readOnly,
    },
    async (_, { mcpReq: { signal } }) => answer(await commands.run(['databases', ...configFlags], signal)),
  );
  server.registerTool(
    'litestream_restore',
    {
      description: 'Restores a database of the config into mcp-output-dir. It never overwrites a file that exists.',
      inputSchema: schemas.restore,
      annotations: { destructiveHint: false },
    },
    async (args, { mcpReq: { signal } }) =>
      orRefusal(async () => {
        const path = configured(args.path);
        return answer(
          await commands.run(
            [
              'restore',
              ...flag('o', outputPath(outputDir, args.o, path)),
              ...configFlags,
              ...flag('txid', args.txid),
              ...flag('timestamp', args.timestamp),
              ...flag('parallelism', args.parallelism),
              ...flag('if-db-not-exists', args.if_db_not_exists),
              ...flag('if-replica-exists', args.if_replica_exists),
              path,
            ],
            signal,
          ),
        );
      }),
  );
  server.registerTool(
    'litestream_ltx',
    {
      description: 'Lists the LTX files on the replica of a database.',
      inputSchema: schemas.ltx,
      annotations: readOnly,
    },
    async (args, { mcpReq: { signal } }) =>
      orRefusal(async () => answer(await commands.run(['ltx', ...configFlags, configured(args.path)], signal))),
  );
  server.registerTool(
    'litestream_version',
    { description: 'The version of Litestream.', inputSchema: schemas.version, annotations: readOnly },
    async (_, { mcpReq: { signal } }) => answer(await commands.run(['version'], signal)),
  );
  server.registerTool(
    'litestream_status',
    {
      description: 'How far the databases are replicated: status, local transaction and size of the WAL.',
      inputSchema: schemas.status,
      annotations: readOnly,
    },
    async ({ path }, { mcpReq: { signal } }) =>
      orRefusal(async () =>
        answer(await commands.run(['status', ...configFlags, ...(path ? [configured(path)] : [])], signal)),
      ),
  );
  server.registerTool(
    'litestream_reset',
    {
      description:
        'Removes the local Litestream state of a database, so that the next sync takes a new snapshot. The database itself is not touched.',
      inputSchema: schemas.reset,
      annotations: { destructiveHint: true },
    },
    async (args, { mcpReq: { signal } }) =>
      orRefusal(async () => answer(await commands.run(['reset', ...configFlags, configured(args.path)], signal))),
  );
}

/** The command itself would accept more than a database of the config: a URL, or (reset) any path. */
function configuredPath(databases: readonly DatabaseConfig[], given: string): string {
  const path = expandPath(given);
  if (databaseOf(databases, path) !== undefined) return path;
  throw new LitestreamError(`database not found in config: ${given}`, {
    code: 'INVALID_ARGUMENT',
    hint: 'litestream_databases lists the databases of the config.',
  });
}

/** A tool that fails answers with its error, which is not an error of the server. */
async function orRefusal(work: () => Promise<CallToolResult>): Promise<CallToolResult> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof LitestreamError)) throw error;
    return failure(`Error: ${describeError(error)}`, []);
  }
}

/** The most databases whose files the report lists. */
const LISTED_MAX = 100;

async function info(
  { commands, configPath }: ToolsOptions,
  configFlags: readonly string[],
  signal: AbortSignal,
): Promise<CallToolResult> {
  const version = await commands.run(['version'], signal);
  const databases = await commands.run(['databases', ...configFlags], signal);
  if (databases.exitCode !== 0) return failure(`Failed to get databases info: ${reasonOf(databases)}`, [databases]);
  const sections = [
    '=== Litestream Status Report ===',
    `Version Information:\n${version.stdout}`,
    `Current Config Path:\n${configPath}`,
    `Databases:\n${databases.stdout}`,
    'LTX Files:',
  ];
  const listed = await commands.run(['databases', '-json', ...configFlags], signal);
  if (listed.exitCode !== 0) return failure(`Failed to get databases info: ${reasonOf(listed)}`, [listed]);
  const names = z.array(z.object({ path: z.string() })).parse(JSON.parse(listed.stdout));
  const paths = [...new Set(names.map((each) => each.path))];
  for (const each of paths.slice(0, LISTED_MAX)) {
    const files = await commands.run(['ltx', ...configFlags, each], signal);
    const failed = `Failed to get LTX files for ${each}: ${reasonOf(files)}`;
    sections.push(files.exitCode === 0 ? `Database: ${each}\n${files.stdout}` : failed);
  }
  if (paths.length > LISTED_MAX) sections.push(`… and ${paths.length - LISTED_MAX} more databases`);
  return success(`${sections.map((each) => each.trimEnd()).join('\n\n')}\n`, [databases]);
}
