// A page that says why a sign-in came to nothing leads back to where it began. It is complete without this script.
import { button, choices, handBack, language, words } from './console.js';

const [, connection] = location.pathname.match(/^\/sso\/oidc\/([^/]+)\/(?:start|callback)$/) ?? [];
const text = (id) => document.getElementById(id).textContent;

function startAgain() {
  return choices(button(words.again, () => location.assign(`/sso/oidc/${connection}/start?lang=${language}`)));
}

if (connection) {
  const [back = startAgain()] = handBack(text('code'), text('message'));
  document.querySelector('.notice').append(back);
}
