// graphql-sse against `url`, in both of its modes.
import { createClient } from 'graphql-sse';
import { assert, check, checkOperations, collect, done, parameters } from './parameters.mjs';

const { url, token, wrongToken } = parameters;

for (const singleConnection of [false, true]) {
  const label = `graphql-sse, ${singleConnection ? 'single connection' : 'distinct connections'}`;
  const client = (ownToken) =>
    createClient({
      url,
      singleConnection,
      retryAttempts: 0,
      // A new object each time, since the client adds its stream's token to it.
      headers: () => (ownToken ? { Authorization: `Bearer ${ownToken}` } : {}),
    });
  const shared = client(token);
  await checkOperations(label, shared);
  await check(`${label}: an invalid document is a result with a coded error`, async () => {
    const [result] = await collect(shared, { query: '{ aFieldThatIsNotThere }' });
    assert(result.errors?.[0].extensions?.code === 'GRAPHQL_VALIDATION_FAILED', JSON.stringify(result));
  });
  shared.dispose();
  if (wrongToken) {
    await check(`${label}: a wrong token is refused with 401`, async () => {
      const error = await collect(client(wrongToken), { query: '{ __typename }' }).then(
        () => { throw new Error('it was executed'); },
        (error) => error,
      );
      assert(error.response?.status === 401, `${error}`);
    });
  }
}
done();
