/** Gets the Litestream (Go) programs that are named, so that a later step finds them: `node tests/support/get-go-litestream.ts 0.5.18`. */
import { chosenVersion, goLitestream } from './go-litestream.ts';

for (const name of process.argv.slice(2)) console.log(await goLitestream(chosenVersion(name)));
