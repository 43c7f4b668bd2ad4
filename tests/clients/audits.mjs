// Every server audit of graphql-http against `url`, one line each.
import { serverAudits } from 'graphql-http';
import { done, check, parameters, assert } from './parameters.mjs';

const { url, token } = parameters;

function authorised(input, init = {}) {
  const headers = new Headers(init.headers);
  if (token) headers.set('authorization', `Bearer ${token}`);
  return fetch(input, { ...init, headers });
}

for (const audit of serverAudits({ url, fetchFn: authorised })) {
  await check(`${audit.id} ${audit.name}`, async () => {
    const result = await audit.fn();
    // "notice" and "warn" are failed audits too: of what the specification does not insist on.
    assert(result.status === 'ok', `${result.status}: ${result.reason}`);
  });
}
done();
