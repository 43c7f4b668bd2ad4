// The end of a sign-in through a provider: the ticket stands behind the address's #, its nonce in a cookie of a minute.
//
// Opened by the console as a window of its own, it hands both over, to a page of our own origin and to no other; else
// it spends the ticket itself. The nonce is what somebody lacks who was sent here with another person's ticket.
import { handBack, notice, show, spend, watch, words } from './console.js';

const ticket = new URLSearchParams(location.hash.slice(1)).get('ticket');
history.replaceState(null, '', location.pathname + location.search);

function takeNonce() {
  // Exactly the cookie that the callback sets. Under another name a neighbouring host of our domain could plant a nonce
  // that goes with its own ticket, and have somebody work in its session.
  const secure = location.protocol === 'https:';
  const cookie = secure ? '__Host-minthouse-sso-nonce' : 'minthouse-sso-nonce';
  const cookies = document.cookie.split('; ').map((pair) => pair.split('='));
  const [, nonce] = cookies.find(([name]) => name === cookie) ?? [];
  document.cookie = `${cookie}=; Path=/; Max-Age=0; SameSite=Lax${secure ? '; Secure' : ''}`;
  return nonce;
}

function handOver(nonce) {
  return new Promise((resolve) => {
    if (!window.opener) return resolve(false);
    const timer = setTimeout(() => resolve(false), 1500);
    window.addEventListener('message', (event) => {
      if (event.source !== window.opener || event.origin !== location.origin || event.data?.type !== 'minthouse:received') return;
      clearTimeout(timer);
      resolve(true);
    });
    window.opener.postMessage({ type: 'minthouse:ticket', ticket, nonce }, location.origin);
  });
}

function fail(code, message) {
  notice(message, { more: handBack(code, message) });
}

const nonce = takeNonce();
if (!ticket || !nonce) {
  fail('NO_TICKET', words.noTicket);
} else {
  notice(words.opening, { waiting: true });
  if (await handOver(nonce)) {
    notice(words.handed);
    window.close();
  } else {
    const entered = await spend(ticket, nonce, undefined);
    if (entered.failure) {
      fail(entered.failure.code, entered.failure.message);
    } else {
      watch(entered, () => notice(words.expired));
      await show(entered);
    }
  }
}
