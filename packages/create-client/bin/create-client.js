#!/usr/bin/env node
// Uses nothing newer than ES2018, so that an old Node prints this error and not a syntax error.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(`Error: a Litestream client needs Node 22.18 or newer, this is ${process.versions.node}`);
  process.exit(1);
}

import('../dist/run.js')
  .then(({ run }) => run(process.argv.slice(2)))
  .catch((error) => {
    console.error(`Error: ${error.message}`);
    process.exitCode = 1;
  });
