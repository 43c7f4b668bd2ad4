// Checks a proof of the ledger with nothing but Node.js: node verify-proof.mjs FILE KEY
// KEY is the house's public key, as /.well-known/ledger-keys.json shows it. docs/ledgers.md tells what is done here.

import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const [file, key] = process.argv.slice(2);
const proof = JSON.parse(readFileSync(file, "utf8"));

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
const bytes = (hex) => Buffer.from(hex, "hex");
const leaf = (data) => sha256(Buffer.of(0), data);
const node = (left, right) => sha256(Buffer.of(1), left, right);
const must = (holds, what) => {
  if (!holds) {
    console.log(`WRONG ${what}`);
    process.exit(1);
  }
};

// From a leaf up to the root of a tree of `size` leaves (RFC 9162, 2.1.3.2).
function climb(hash, index, size, path) {
  must(index >= 0 && index < size, "a leaf lies outside its tree");
  let [place, last] = [index, size - 1];
  for (const sister of path.map(bytes)) {
    must(last > 0, "a path is too long");
    if (place % 2 === 1 || place === last) {
      hash = node(sister, hash);
      while (place % 2 === 0 && place !== 0) [place, last] = [place / 2, Math.floor(last / 2)];
    } else {
      hash = node(hash, sister);
    }
    [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  }
  must(last === 0, "a path is too short");
  return hash;
}

// 1. The house's signature under the checkpoint, a signed note.
const [name, id, encoded] = key.match(/^([^+]+)\+([0-9a-f]{8})\+(.+)$/).slice(1);
const raw = Buffer.from(encoded, "base64");
must(raw.length === 33 && raw[0] === 1, "the key is no Ed25519 key");
must(sha256(name, "\n", raw).subarray(0, 4).equals(bytes(id)), "the key does not belong to its ID");
const end = proof.checkpoint.indexOf("\n\n");
const body = proof.checkpoint.slice(0, end + 1);
const publicKey = createPublicKey({
  key: { kty: "OKP", crv: "Ed25519", x: raw.subarray(1).toString("base64url") },
  format: "jwk",
});
const signed = proof.checkpoint
  .slice(end + 2)
  .split("\n")
  .filter((line) => line.startsWith(`— ${name} `))
  .map((line) => Buffer.from(line.split(" ")[2], "base64"))
  .some((mark) => mark.subarray(0, 4).equals(bytes(id)) && verify(null, Buffer.from(body), publicKey, mark.subarray(4)));
must(signed, "the checkpoint was not signed by this key");
const [origin, size, root] = body.split("\n");
must(origin === `minthouse-ledger/${proof.enterprise}`, "the checkpoint is of another enterprise's chain");

// 2. Each block under the checkpoint.
const roots = new Map();
for (const block of proof.blocks) {
  const head = [
    "minthouse/block/1", proof.enterprise, block.number, block.previousHash, block.operationsRoot,
    block.operationCount, block.sealedAt, "",
  ].join("\n");
  const reached = climb(leaf(sha256(head)), block.number - 1, Number(size), block.path);
  must(reached.toString("base64") === root, `block ${block.number} is not in the chain`);
  roots.set(block.number, block);
}

// 3. Each operation in its block, and the history that they tell.
let holds;
let before = [0, -1];
for (const { record: text, path } of proof.operations) {
  const record = JSON.parse(text);
  const block = roots.get(record.block);
  must(block && record.format === "minthouse/operation/1", "a record stands in no block");
  const reached = climb(leaf(text), record.position, block.operationCount, path);
  must(reached.toString("hex") === block.operationsRoot, `operation ${record.operation} is not in block ${record.block}`);
  must(record.enterprise === proof.enterprise && record.collectible === proof.collectible, "a record is about something else");
  must(record.block > before[0] || (record.block === before[0] && record.position > before[1]), "records are out of order");
  before = [record.block, record.position];
  if (record.kind === "ISSUE") {
    const inside = record.firstSerial <= proof.serial && proof.serial < record.firstSerial + record.count;
    must(holds === undefined && inside, "the issue is not this piece's");
    holds = "treasury";
  } else {
    must(record.firstSerial === proof.serial && record.from === holds, "a transfer does not follow from the one before");
    holds = record.to;
  }
}

// 4. Who the last record means.
const meant = proof.holder
  ? sha256(`minthouse/account/1\n${proof.holder.id}\n${proof.holder.salt}\n`).toString("hex")
  : "treasury";
must(holds === meant, "the last record means somebody else");
console.log(`ok ${proof.collectible} ${proof.serial} ${proof.holder ? proof.holder.id : "treasury"} ${size}`);
