// Verifies a public record of draws from the words of src/activities/fairness.rs and engine.rs alone, sharing no code
// with the server: node verify-draws.mjs FILE

import { createHash, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";

const MILLION = 1_000_000;
const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const text = (value) => Buffer.from(value, "utf8");
const u8 = (value) => Buffer.from([value]);
const u32 = (value) => { const bytes = Buffer.alloc(4); bytes.writeUInt32BE(value); return bytes; };
const u64 = (value) => { const bytes = Buffer.alloc(8); bytes.writeBigUInt64BE(BigInt(value)); return bytes; };
const i64 = (value) => { const bytes = Buffer.alloc(8); bytes.writeBigInt64BE(value); return bytes; };

function uuid(id) {
  const letters = "0123456789abcdefghjkmnpqrstvwxyz";
  let value = 0n;
  for (const letter of id.slice(id.lastIndexOf("_") + 1)) value = (value << 5n) | BigInt(letters.indexOf(letter));
  return Buffer.from(value.toString(16).padStart(32, "0"), "hex");
}

/** Microseconds since 1970. */
function moment(stamp) {
  const [, seconds, fraction = ""] = /^(.*?)(?:\.(\d+))?(?:Z|\+00:00)$/.exec(stamp);
  return BigInt(Date.parse(`${seconds}Z`)) * 1000n + BigInt(fraction.padEnd(6, "0").slice(0, 6));
}

const day = (at) => (at / 1_000_000n + 8n * 3600n) / 86_400n;

function* words(seed, message) {
  for (let counter = 0; ; counter++) {
    const [before, after] = message;
    const block = createHmac("sha256", seed).update(Buffer.concat([before, u32(counter), after])).digest();
    for (let place = 0; place < 32; place += 4) yield block.readUInt32BE(place);
  }
}

function below(stream, bound) {
  const fairBelow = 2 ** 32 - (2 ** 32 % bound);
  for (;;) {
    const word = stream.next().value;
    if (word < fairBelow) return word % bound;
  }
}

function pick(shares, number) {
  let end = 0;
  return shares.findIndex((share) => number < (end += share));
}

const record = JSON.parse(readFileSync(process.argv[2], "utf8"));
if (record.format !== "minthouse/draws/2") throw new Error(`unknown form ${record.format}`);
if (!record.seed) throw new Error("the seed is not revealed yet");
const seed = Buffer.from(record.seed, "hex");
if (sha256(seed).toString("hex") !== record.commitment) throw new Error("another seed was committed to");
const terms = JSON.parse(record.terms.document);
const activity = uuid(record.activity);
let head = sha256(text("minthouse/lane/2"), activity, Buffer.from(record.commitment, "hex"));
head = sha256(
  text("minthouse/terms/2"), head, u32(terms.version), sha256(text(record.terms.document)), i64(moment(record.terms.since)),
);

const rank = (plan) => (plan.forChosen ? 2 : 0) + (plan.from || plan.until ? 1 : 0);
const order = terms.plans.map((_, place) => place);
order.sort((one, other) =>
  rank(terms.plans[other]) - rank(terms.plans[one]) || terms.plans[other].priority - terms.plans[one].priority);
const opens = moment(terms.opensAt);
const closes = moment(terms.closesAt);
const seconds = (closes - opens) / 1_000_000n;
const hours = ((seconds > 1n ? seconds : 1n) + 3599n) / 3600n;
const lots = [];
for (const plan of terms.plans) {
  for (const prize of plan.prizes) {
    prize.lots = prize.lots.map((lot) => {
      lots.push({ left: lot.quantity, next: lot.firstSerial, quantity: lot.quantity });
      return lots.length - 1;
    });
    prize.wonOn = new Map();
    prize.wonBy = new Map();
  }
}
const left = (prize) => prize.lots.reduce((sum, lot) => sum + lots[lot].left, 0);
const people = new Map();

/** What the enterprise's endpoint has ruled of the draw at hand. */
let ruling;

function allows(level) {
  if (ruling?.levels !== undefined) return (BigInt(`0x${ruling.levels}`) & (1n << BigInt(level))) !== 0n;
  if (ruling?.won !== undefined) return level === ruling.won;
  return ruling === undefined;
}

function ruled() {
  const bytes = (kind, value) => Buffer.concat([u8(kind), Buffer.from(value.toString(16).padStart(32, "0"), "hex")]);
  if (ruling?.levels !== undefined) return bytes(1, BigInt(`0x${ruling.levels}`));
  if (ruling?.won !== undefined) return bytes(3, BigInt(ruling.won));
  return ruling === undefined ? Buffer.alloc(0) : bytes(2, 0n);
}

function withheld(prize, person, at) {
  const today = day(at);
  const quantity = prize.lots.reduce((sum, lot) => sum + lots[lot].quantity, 0);
  const reached = (most, count) => most != null && count >= most;
  if (!prize.fallback && !allows(prize.level)) return 7;
  if (left(prize) === 0) return 1;
  if (reached(prize.winsPerDay, prize.wonOn.get(today) ?? 0)) return 2;
  if (reached(prize.winsPerHolder, prize.wonBy.get(person) ?? 0)) return 3;
  if (!prize.fallback && reached(terms.winsPerHolder, person.wins)) return 4;
  if (!prize.fallback && reached(terms.winsPerDay, person.winsOn.get(today) ?? 0)) return 5;
  if (prize.paced) {
    let begun = (at - opens) / 1_000_000n / 3600n + 1n;
    if (begun > hours) begun = hours;
    if (quantity - left(prize) >= Number((BigInt(quantity) * begun) / hours)) return 6;
  }
  return 0;
}

const isGone = (plan) => {
  const counts = (prize) => prize.oddsPerMillion > 0 || (prize.fallback && plan.exhaustion === "TO_FALLBACK");
  return plan.prizes.filter(counts).every((prize) => left(prize) === 0);
};

function piece(stream, place, given, steps) {
  if (given.lots.length === 1) return { prize: given, lot: given.lots[0] };
  const number = below(stream, left(given));
  steps.push({ place, cause: 5, number, prize: given, why: 0 });
  return { prize: given, lot: given.lots[pick(given.lots.map((lot) => lots[lot].left), number)] };
}

function deal(stream, person, openPlans, at, steps) {
  if (ruling === "noPrize") return null;
  if (ruling?.won !== undefined) {
    for (const place of order.filter((place) => openPlans & (1n << BigInt(place)))) {
      for (const prize of terms.plans[place].prizes.filter((prize) => prize.level === ruling.won)) {
        const something = prize.lots.length > 0;
        const why = something ? withheld(prize, person, at) : 0;
        steps.push({ place, cause: 6, number: 0, prize, why });
        if (something && why === 0) return piece(stream, place, prize, steps);
      }
    }
    return null;
  }
  for (const place of order) {
    const plan = terms.plans[place];
    if (!(openPlans & (1n << BigInt(place)))) continue;
    if (plan.fallsThrough && isGone(plan)) continue;
    const step = (cause, number, picked) => {
      // A prize without lots is nothing: it is neither given nor withheld.
      const something = picked >= 0 && plan.prizes[picked].lots.length > 0;
      const why = something ? withheld(plan.prizes[picked], person, at) : 0;
      steps.push({ place, cause, number, prize: picked < 0 ? null : plan.prizes[picked], why });
      return something && why === 0 ? plan.prizes[picked] : null;
    };
    const odds = plan.prizes.map((prize) => prize.oddsPerMillion);
    const roll = below(stream, MILLION);
    let given = step(1, roll, pick(odds, roll));
    if (!given && steps.at(-1).why) {
      if (plan.exhaustion === "TO_FALLBACK") {
        const fallback = plan.prizes.findIndex((prize) => prize.fallback);
        if (fallback >= 0) given = step(4, 0, fallback);
      } else if (plan.exhaustion === "REDRAW_ONCE") {
        const number = below(stream, MILLION);
        given = step(2, number, pick(odds, number));
      } else if (plan.exhaustion === "RENORMALISE") {
        const shares = plan.prizes.map((prize) => (withheld(prize, person, at) ? 0 : prize.oddsPerMillion));
        const all = shares.reduce((sum, share) => sum + share, 0);
        if (all > 0) {
          const number = below(stream, all);
          given = step(3, number, pick(shares, number));
        }
      }
    }
    if (given) return piece(stream, place, given, steps);
    if (!(plan.overlays && !steps.at(-1).prize)) return null;
  }
  return null;
}

const none = Buffer.alloc(16);
let last = moment(record.terms.since);
record.draws.forEach((draw, place) => {
  const wrong = (why) => { throw new Error(`draw ${place + 1}: ${why}`); };
  if (draw.sequence !== place + 1) wrong("a draw was left out or put in");
  const person = people.get(draw.participant) ?? { made: 0, madeOn: new Map(), wins: 0, winsOn: new Map() };
  people.set(draw.participant, person);
  person.made += 1;
  const alias = Buffer.from(draw.participant, "hex");
  const at = moment(draw.at);
  if (at < last) wrong("it is older than the one before");
  if (at < opens || at >= closes) wrong("it was made outside of the window");
  last = at;
  if (draw.index > 0) {
    const before = record.draws[place - 1];
    const follows = before && before.index + 1 === draw.index && draw.index < terms.drawsAtOnce
      && before.participant === draw.participant && before.at === draw.at && before.clientSeed === draw.clientSeed;
    if (!follows) wrong("it follows no draw of the same request");
  } else if (terms.plans.some((plan) => plan.exhaustion === "CLOSE_ACTIVITY" && isGone(plan))) {
    wrong("it was made after the terms had ended the activity");
  }
  const madeToday = (person.madeOn.get(day(at)) ?? 0) + 1;
  person.madeOn.set(day(at), madeToday);
  if (terms.drawsPerDay != null && madeToday > terms.drawsPerDay) wrong("its participant had drawn often enough that day");
  const openPlans = BigInt(`0x${draw.openPlans}`);
  terms.plans.forEach((plan, place) => {
    const covers = (!plan.from || moment(plan.from) <= at) && (!plan.until || at < moment(plan.until));
    const open = (openPlans & (1n << BigInt(place))) !== 0n;
    if (open ? !covers : covers && !plan.forChosen) wrong("its open plans are others");
  });
  const about = Buffer.concat([
    text("minthouse/numbers/2"), activity, u32(terms.version), alias, u64(person.made), u32(draw.index),
  ]);
  const steps = [];
  ruling = draw.ruling;
  const isDecided = ruling === "noPrize" || ruling?.won !== undefined;
  const rulings = terms.rulings ?? "NONE";
  if (rulings === "NONE" ? ruling !== undefined : rulings === "DECISIVE" && !isDecided) wrong("the terms do not let it be ruled so");
  const given = deal(words(seed, [about, text(draw.clientSeed)]), person, openPlans, at, steps);
  const numbers = steps.filter((step) => step.cause !== 4 && step.cause !== 6).map((step) => step.number);
  if (JSON.stringify(numbers) !== JSON.stringify(draw.numbers)) wrong(`its numbers are ${numbers}`);
  if ((given?.prize.id ?? null) !== draw.awarded) wrong("another prize was due");
  let serial = null;
  if (given) {
    serial = lots[given.lot].next;
    lots[given.lot].next += 1;
    lots[given.lot].left -= 1;
    const today = day(at);
    given.prize.wonOn.set(today, (given.prize.wonOn.get(today) ?? 0) + 1);
    given.prize.wonBy.set(person, (given.prize.wonBy.get(person) ?? 0) + 1);
    if (!given.prize.fallback) {
      person.wins += 1;
      person.winsOn.set(today, (person.winsOn.get(today) ?? 0) + 1);
    }
  }
  if (serial !== draw.serial) wrong(`number ${serial} was next`);
  const clientSeed = text(draw.clientSeed);
  head = sha256(
    text("minthouse/draw/2"), head, u32(terms.version), u64(draw.sequence), alias, u64(person.made), u32(draw.index),
    i64(at), u64(openPlans), u32(clientSeed.length), clientSeed, u32(steps.length),
    ...steps.flatMap((step) => [
      u32(step.place), u8(step.cause), u32(step.number), step.prize ? uuid(step.prize.id) : none, u8(step.why),
    ]),
    given ? uuid(given.prize.id) : none, u32(given ? given.lot : 0xffffffff), u32(given ? serial : 0xffffffff),
    u32(lots.length), ...lots.map((lot) => u32(lot.left)), ruled(),
  );
  if (head.toString("hex") !== draw.hash) wrong("its hash is another");
});
console.log(`ok ${record.draws.length} ${head.toString("hex")}`);
