// The parameters of a script: one JSON object as the only argument, or in MINTHOUSE_CLIENT.
//   url, token, wrongToken (optional: a token that must be refused),
//   query, mutation, subscription, endless: GraphQL requests {query, variables, operationName}; those left out are
//   not tried. `events` is how many events `subscription` yields before it completes by itself; `endless` must yield
//   one event at least and is then stopped by the client.
const text = process.argv[2] ?? process.env.MINTHOUSE_CLIENT;
if (!text) {
  console.error(`usage: node ${process.argv[1]} '{"url": "http://…/graphql", "token": "…", "query": {"query": "…"}}'`);
  process.exit(2);
}
export const parameters = JSON.parse(text);

let failed = 0;

/** Runs one check, prints how it went. */
export async function check(name, run) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer within 20 s')), 20_000);
  });
  try {
    await Promise.race([run(), late]);
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`not ok ${name}: ${describe(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

function describe(error) {
  if (error instanceof Error) return error.message;
  return JSON.stringify(error) ?? String(error);
}

export function assert(condition, message) {
  if (!condition) throw new Error(message);
}

/** Ends the script, with 1 where a check failed. */
export function done() {
  process.exit(failed ? 1 : 0);
}

/** Collects the results of one operation until it completes, or until `stopAfter` of them came. */
export function collect(client, request, stopAfter = Infinity) {
  return new Promise((resolve, reject) => {
    const results = [];
    let stopped = false;
    const dispose = client.subscribe(request, {
      next(result) {
        results.push(result);
        if (results.length === stopAfter && !stopped) {
          stopped = true;
          queueMicrotask(() => dispose());
        }
      },
      error: reject,
      complete: () => resolve(results),
    });
  });
}

/** What query, mutation and subscription must do, whatever carries them. */
export async function checkOperations(label, client) {
  const { query, mutation, subscription, events, endless } = parameters;
  for (const [kind, request] of Object.entries({ query, mutation })) {
    if (!request) continue;
    await check(`${label}: a ${kind} yields one result`, async () => {
      const results = await collect(client, request);
      assert(results.length === 1, `${results.length} results`);
      assert(results[0].data && !results[0].errors, JSON.stringify(results[0]));
    });
  }
  if (subscription) {
    await check(`${label}: a subscription yields its events and completes`, async () => {
      const results = await collect(client, subscription);
      assert(results.length === events, `${results.length} events, not ${events}`);
      assert(results.every((result) => result.data && !result.errors), JSON.stringify(results));
    });
  }
  if (endless) {
    await check(`${label}: a subscription ends when the client stops it`, async () => {
      const results = await collect(client, endless, 1);
      assert(results.length >= 1 && results[0].data, JSON.stringify(results));
    });
  }
}
