// The console in somebody else's page. What is said between the two windows is written in docs/identity/embedding.md.
//
// Only the window above is heard, only from a registered origin, and every message that is sent names the origin that
// may read it. The server has told the browser the same origins (frame-ancestors), so elsewhere this page does not load.
import { language, notice, show, spend, watch, ways, words } from './console.js';

const meta = (name) => document.querySelector(`meta[name="${name}"]`).content;
const origins = meta('minthouse-origins').split(' ').filter(Boolean);
const connections = JSON.parse(meta('minthouse-connections'));
const framed = window.parent !== window;

// The origin of the window above, once it is known.
let above = [location.ancestorOrigins?.[0], referrer()].find((origin) => origins.includes(origin));
// Stops watching over the session that is open, if one is.
let close;
let turn = 0;
let popup;

function referrer() {
  try {
    return new URL(document.referrer).origin;
  } catch {
    return undefined;
  }
}

// Before the window above has spoken, each registered origin is told; the browser hands it to the one that is there.
function tell(message) {
  if (!framed) return;
  for (const origin of above ? [above] : origins) window.parent.postMessage(message, origin);
}

function wait() {
  if (framed && !above) return notice(words.waiting, { waiting: true });
  if (connections.length > 0) return offer(words.signIn);
  return framed ? notice(words.waiting, { waiting: true }) : notice(words.outside);
}

// Says something, with the ways in beside it.
function offer(text) {
  notice(text, { more: connections.length > 0 && (!framed || above) ? [ways(connections, begin)] : [] });
}

function begin({ id }) {
  const start = new URL(`/sso/oidc/${id}/start`, location.origin);
  start.searchParams.set('lang', language);
  if (!framed) return location.assign(start);
  start.searchParams.set('origin', above);
  popup = window.open(start, 'minthouse-sign-in', 'popup,width=520,height=680');
}

function leave() {
  turn += 1;
  close?.();
  close = undefined;
}

async function open(ticket, nonce) {
  leave();
  const mine = turn;
  notice(words.opening, { waiting: true });
  const entered = await spend(ticket, nonce, framed ? above : undefined);
  if (mine !== turn) return; // another ticket has come meanwhile
  if (entered.failure) {
    offer(entered.failure.message);
    tell({ type: 'minthouse:failed', ...entered.failure });
    return;
  }
  const { operator, enterprise, expiresAt } = entered;
  close = watch(entered, () => {
    leave();
    offer(words.expired);
    tell({ type: 'minthouse:expired' });
  });
  tell({
    type: 'minthouse:opened',
    operator: { id: operator.id, name: operator.name },
    enterprise: { id: enterprise.id, slug: enterprise.slug, name: enterprise.name.text },
    role: operator.role,
    expiresAt,
  });
  await show(entered);
}

const isText = (value) => typeof value === 'string' && value.length > 0 && value.length <= 500;

window.addEventListener('message', (event) => {
  const message = event.data;
  if (message === null || typeof message !== 'object') return;
  if (framed && event.source === window.parent && origins.includes(event.origin)) {
    if (message.type !== 'minthouse:open' || !isText(message.ticket) || !isText(message.nonce)) return;
    above = event.origin;
    open(message.ticket, message.nonce);
  } else if (popup && event.source === popup && event.origin === location.origin) {
    // The window stays, and somebody may go back in it and come in after all.
    if (message.type === 'minthouse:refused' && isText(message.message) && !close) return offer(message.message);
    if (message.type !== 'minthouse:ticket' || !isText(message.ticket) || !isText(message.nonce)) return;
    popup.postMessage({ type: 'minthouse:received' }, location.origin);
    popup = undefined;
    open(message.ticket, message.nonce);
  }
});

let height = 0;
new ResizeObserver(() => {
  const now = Math.ceil(document.body.getBoundingClientRect().height);
  if (now === height) return;
  height = now;
  tell({ type: 'minthouse:resize', height });
}).observe(document.body);

wait();
tell({ type: 'minthouse:ready' });
