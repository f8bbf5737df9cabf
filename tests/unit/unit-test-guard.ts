/** Fails a test file that does not belong among the unit tests. */
import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { afterAll, beforeAll } from 'vitest';

// Time by the clock would say how busy the machine is. A file of the list takes under two seconds of either on a quiet one;
// on one with ten times the work the system lets it idle longer.
const CPU_MS_MAX = 5000;
const IDLE_MS_MAX = 10_000;

const refused = (what: string) => (): never => {
  throw new Error(`a unit test ${what}: take its file out of tests/unit/files.ts`);
};

const { prototype } = childProcess.ChildProcess as unknown as { prototype: { spawn: () => never } };
prototype.spawn = refused('starts a process');
childProcess.spawnSync = refused('starts a process');
childProcess.execFileSync = refused('starts a process');
childProcess.execSync = refused('starts a process');
net.Server.prototype.listen = refused('starts a server');
syncBuiltinESMExports();

const environment = process.env;
const variables = JSON.stringify(environment);

let cpuBefore: NodeJS.CpuUsage;
let idleBefore = 0;

beforeAll(() => {
  cpuBefore = process.cpuUsage();
  idleBefore = performance.eventLoopUtilization().idle;
});

afterAll(() => {
  const { user, system } = process.cpuUsage(cpuBefore);
  const cpuMs = (user + system) / 1000;
  const idleMs = performance.eventLoopUtilization().idle - idleBefore;
  if (cpuMs > CPU_MS_MAX) refused(`file computes for ${Math.round(cpuMs)} ms`)();
  // The next file of this worker would see it, and a replacement is no environment: Node does not act on its TZ.
  if (process.env !== environment) refused('file replaces process.env')();
  if (JSON.stringify(process.env) !== variables) refused('file leaves variables of the environment behind')();
  if (idleMs > IDLE_MS_MAX) refused(`file waits for ${Math.round(idleMs)} ms`)();
});
