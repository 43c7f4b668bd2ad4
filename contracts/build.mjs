// Compiles the contract with the pinned compiler: `node build.mjs` writes out/, `node build.mjs --print` prints instead.
// The result depends on the sources, the compiler and the settings below alone, so that anybody can compile it again
// and compare it byte for byte.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const solc = require("solc");
const here = dirname(fileURLToPath(import.meta.url));
const NAME = "MinthouseCollectibles";

const settings = {
  evmVersion: "paris",
  optimizer: { enabled: true, runs: 1000 },
  // Without the hash of the metadata, or comments and paths would change the bytecode.
  metadata: { bytecodeHash: "none", appendCBOR: false },
  outputSelection: { "*": { [NAME]: ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
};
const source = `${NAME}.sol`;
const input = {
  language: "Solidity",
  sources: { [source]: { content: readFileSync(join(here, source), "utf8") } },
  settings,
};
const read = (path) => {
  try {
    return { contents: readFileSync(join(here, "node_modules", path), "utf8") };
  } catch {
    return { error: `${path} is not there; run npm ci` };
  }
};

const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
for (const problem of output.errors ?? []) {
  console.error(problem.formattedMessage);
}
// A warning would be read by nobody later.
if (output.errors?.length) process.exit(1);

const { abi, evm } = output.contracts[source][NAME];
const versions = JSON.parse(readFileSync(join(here, "package.json"), "utf8")).dependencies;
const artifact = {
  contract: NAME,
  compiler: solc.version(),
  openzeppelin: versions["@openzeppelin/contracts"],
  settings: { evmVersion: settings.evmVersion, optimizer: settings.optimizer, metadata: settings.metadata },
  abi,
  bytecode: `0x${evm.bytecode.object}`,
  deployedBytecode: `0x${evm.deployedBytecode.object}`,
};
const text = `${JSON.stringify(artifact, null, 2)}\n`;
if (process.argv.includes("--print")) {
  process.stdout.write(text);
} else {
  mkdirSync(join(here, "out"), { recursive: true });
  writeFileSync(join(here, "out", `${NAME}.json`), text);
}
