/** The manifest in `deploy/`: its probes are asked of a daemon that runs with its config. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { scratchFolder, start, until } from './support/cli.ts';
import { createDatabase } from './support/database.ts';

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface Container {
  readonly name: string;
  readonly args: readonly string[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly Container[];
        readonly volumes: readonly { readonly name: string; readonly configMap: { readonly name: string } }[];
      };
    };
  };
}

const file = fileURLToPath(new URL('../../../deploy/kubernetes.yml', import.meta.url));

test('probes of the Kubernetes manifest: the port is that of the config, and both are answered as they should be', async () => {
  const documents = parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS() as Manifest);
  const configMap = documents.find(({ kind }) => kind === 'ConfigMap');
  const pod = documents.find(({ kind }) => kind === 'StatefulSet')?.spec?.template.spec;
  const container = pod?.containers.find(({ name }) => name === 'litestream');
  const mount = container?.volumeMounts.find(({ name }) => name === 'config');
  const [port] = container?.ports ?? [];
  const config = configMap?.data?.['litestream.yml'] ?? '';
  expect(container?.args).toEqual(['replicate', '-config', `${mount?.mountPath}/litestream.yml`]);
  expect(pod?.volumes).toEqual([{ name: 'config', configMap: { name: configMap?.metadata.name } }]);
  // Not loopback: the kubelet asks from outside of the pod.
  expect(config).toMatch(new RegExp(`^addr: ":${port?.containerPort}"$`, 'm'));
  for (const probe of [container?.livenessProbe, container?.readinessProbe]) {
    expect(probe?.httpGet.port).toBe(port?.name);
  }

  const folder = scratchFolder();
  const path = join(folder, 'litestream.yml');
  const here = config
    .replace(/":\d+"/, '127.0.0.1:0')
    .replace('/data', folder)
    .replace('s3://my-bucket', `file://${folder}/replica`);
  writeFileSync(path, here);
  const daemon = start(['replicate', '-config', path]);
  await daemon.said(/serving metrics on" url=\S+/);
  const url = /serving metrics on" url=(\S+)\/metrics/.exec(daemon.stdout)?.[1] ?? '';
  const ask = async (probe: Probe | undefined): Promise<number> =>
    (await fetch(`${url}${probe?.httpGet.path ?? '/none'}`)).status;
  expect(await ask(container?.livenessProbe)).toBe(200);
  expect(await ask(container?.readinessProbe)).toBe(503);
  createDatabase(join(folder, 'app.db'));
  await until(async () => (await ask(container?.readinessProbe)) === 200, 'the pod to be ready');
  expect((await daemon.stop()).exitCode).toBe(0);
});
