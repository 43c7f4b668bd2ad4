// graphql-ws against `url` (ws: or wss:).
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { assert, check, checkOperations, collect, done, parameters } from './parameters.mjs';

const { url, token, wrongToken } = parameters;

function client(ownToken, options = {}) {
  return createClient({
    url,
    webSocketImpl: WebSocket,
    connectionParams: ownToken ? { Authorization: `Bearer ${ownToken}` } : undefined,
    retryAttempts: 0,
    ...options,
  });
}

const shared = client(token, { lazy: true, lazyCloseTimeout: 1_000 });
await checkOperations('graphql-ws', shared);
await check('graphql-ws: an invalid document is an error with a code', async () => {
  const errors = await collect(shared, { query: '{ aFieldThatIsNotThere }' }).then(
    () => { throw new Error('it was executed'); },
    (errors) => errors,
  );
  assert(Array.isArray(errors) && errors[0].extensions?.code === 'GRAPHQL_VALIDATION_FAILED', JSON.stringify(errors));
});
await shared.dispose();
if (wrongToken) {
  await check('graphql-ws: a wrong token closes with 4403', async () => {
    const closed = await collect(client(wrongToken), { query: '{ __typename }' }).then(
      () => { throw new Error('it was executed'); },
      (event) => event,
    );
    assert(closed.code === 4403, `closed with ${closed.code} ${closed.reason}`);
  });
}
done();
