// A real OpenID Connect provider for the tests of our relying party: the certified package oidc-provider, on a free port
// of 127.0.0.1. It says {"issuer": …} in one line when it is ready, and ends when its standard input does.
//
//   node oidc-provider.mjs '{"clients": [{"client_id": …, "redirect_uris": […]}], "users": {"alice": {"name": …}}}'
//
// Nobody sees a page: who is named in `login_hint` is signed in, whoever is not among the users is turned away, and
// every scope is granted. What a provider does in the course of months is done at once by a POST to /control:
//
//   {"rotateKeys": true}       signs with new keys from now on and publishes no others
//   {"idTokenSeconds": 1}      how long ID tokens are good
//   {"nextIdToken": "a.b.c"}   the next answer of the token endpoint carries this instead of the ID token
//   {"nextMetadata": {…}}      the next answer to a question for the metadata has these members instead
//   {"redirectUris": […]}      every client may send its browsers back to these, and to no others
//   {"users": {"alice": {…}}}  says this of these users from now on
//
// GET /control tells how often the metadata, the keys and the token endpoint were asked for.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

// The package talks on the console, where one line is ours.
console.info = console.error;
const { default: Provider } = await import('oidc-provider');

const parameters = JSON.parse(process.argv[2] ?? '{}');
const { clients = [], users = {}, claims = {}, authentication = 'client_secret_basic' } = parameters;

let idTokenSeconds = 300;
let nextIdToken;
let nextMetadata;
let keys = newKeys();
const asked = { metadata: 0, keys: 0, token: 0 };

function newKeys() {
  const pairs = [
    generateKeyPairSync('rsa', { modulusLength: 2048 }),
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    generateKeyPairSync('ed25519'),
  ];
  return pairs.map(({ privateKey }) => ({ ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig' }));
}

function provider(issuer) {
  const made = new Provider(issuer, {
    clients: clients.map((client) => ({
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: authentication,
      ...client,
    })),
    clientAuthMethods: [authentication],
    jwks: { keys },
    claims: { openid: ['sub'], ...claims },
    // The claims stand in the ID token itself, as no access token is wanted.
    conformIdTokenClaims: false,
    cookies: { keys: [randomUUID()] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ ...users[id], sub: id }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    loadExistingGrant: async (ctx) => {
      const { client, session, params } = ctx.oidc;
      const grant = new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope(params.scope);
      await grant.save();
      return grant;
    },
    pkce: { required: () => true, methods: ['S256'] },
    ttl: {
      AccessToken: 300, AuthorizationCode: 60, Grant: 300, IdToken: () => idTokenSeconds, Interaction: 300, Session: 300,
    },
  });
  made.use(async (ctx, next) => {
    await next();
    if (ctx.oidc?.route === 'token') {
      asked.token += 1;
      if (nextIdToken && ctx.body?.id_token) {
        ctx.body = { ...ctx.body, id_token: nextIdToken };
        nextIdToken = undefined;
      }
    } else if (ctx.oidc?.route === 'discovery') {
      asked.metadata += 1;
      ctx.body = { ...ctx.body, ...nextMetadata };
      nextMetadata = undefined;
    } else if (ctx.oidc?.route === 'jwks') {
      asked.keys += 1;
    }
  });
  made.on('server_error', (_, error) => console.error(error));
  return made;
}

async function signIn(request, response) {
  const { params } = await current.interactionDetails(request, response);
  const result = Object.hasOwn(users, params.login_hint ?? '')
    ? { login: { accountId: params.login_hint } }
    : { error: 'access_denied', error_description: 'nobody of that name is known' };
  await current.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

async function control(request, response) {
  if (request.method === 'POST') {
    let text = '';
    for await (const chunk of request) text += chunk;
    const order = JSON.parse(text);
    if (order.rotateKeys) keys = newKeys();
    if (order.redirectUris) for (const client of clients) client.redirect_uris = order.redirectUris;
    if (order.users) Object.assign(users, order.users);
    if (order.rotateKeys || order.redirectUris) current = provider(issuer);
    if (order.idTokenSeconds) idTokenSeconds = order.idTokenSeconds;
    if (order.nextIdToken) nextIdToken = order.nextIdToken;
    if (order.nextMetadata) nextMetadata = order.nextMetadata;
  }
  response.setHeader('content-type', 'application/json').end(JSON.stringify(asked));
}

async function serve(request, response) {
  const { pathname } = new URL(request.url, issuer);
  if (pathname === '/control') await control(request, response);
  else if (pathname.startsWith('/interaction/')) await signIn(request, response);
  else await current.callback()(request, response);
}

let issuer;
let current;
const server = createServer((request, response) => {
  serve(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500).end(String(error));
  });
});
server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  current = provider(issuer);
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});
process.stdin.resume().on('end', () => process.exit());
