// Runs the embedded console and the page of a refusal (web/embedded) in node, on a browser's globals of its own: a clock
// that is moved by hand, a server that answers as told, and windows that keep what is said to them.
// Parameters: {"folder": where the pages stand}.
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { folder } = JSON.parse(process.argv[2]);
const OWN = 'https://house.example';
const PARTNER = 'https://partner.example';
const MINUTE = 60_000;
const HALF_AN_HOUR = 30 * MINUTE;
const rightNow = Date.now;

const settled = () => new Promise((resolve) => setImmediate(resolve));

function clock() {
  const due = new Map();
  let now = 0;
  let last = 0;
  const add = (act, wait, every) => {
    last += 1;
    due.set(last, { act, at: now + wait, every });
    return last;
  };
  return {
    setTimeout: (act, wait) => add(act, wait),
    setInterval: (act, wait) => add(act, wait, wait),
    clear: (id) => due.delete(id),
    async pass(milliseconds) {
      const until = now + milliseconds;
      for (;;) {
        const [id, next] = [...due].filter(([, { at }]) => at <= until).sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
        if (!next) break;
        now = next.at;
        if (next.every) next.at += next.every;
        else due.delete(id);
        next.act();
        await settled();
      }
      now = until;
    },
  };
}

class Element {
  children = [];
  listeners = {};
  constructor(tag) {
    this.tag = tag;
  }
  append(...children) {
    this.children.push(...children);
  }
  replaceChildren(...children) {
    this.children = children;
  }
  setAttribute() {}
  addEventListener(kind, act) {
    this.listeners[kind] = act;
  }
  getBoundingClientRect() {
    return { height: 100 };
  }
  get textContent() {
    return this.children.map((child) => child.textContent ?? child).join(' ');
  }
  get buttons() {
    const inside = this.children.filter((child) => child instanceof Element).flatMap((child) => child.buttons);
    return this.tag === 'button' ? [this] : inside;
  }
}

/// A window to which something is said.
const other = () => ({ heard: [], postMessage(message, origin) { this.heard.push([message, origin]); } });

/// A page before its script runs, in a browser whose clock is half an hour and a minute fast.
function browser({ language = 'en', path = '/embedded/alpha', opener = null, framed = true } = {}) {
  const main = new Element('main');
  const [code, message] = [new Element('p'), new Element('p')];
  code.append('NO_ROLE');
  message.append('No role of yours is known here.');
  const time = clock();
  const page = {
    main, time, parent: other(), opened: [], gone: [], closed: false, asked: [], sessionEnded: false,
    listeners: {}, visibility: {},
    say(data, { source = page.parent, origin = PARTNER } = {}) {
      page.listeners.message({ data, source, origin });
      return settled();
    },
    told: (type) => page.parent.heard.filter(([said]) => said.type === type).length,
  };
  const window = {
    opener, close: () => { page.closed = true; },
    open: (address, ...rest) => {
      page.opened.push([String(address), ...rest]);
      page.popup = other();
      return page.popup;
    },
    addEventListener: (kind, act) => { page.listeners[kind] = act; },
  };
  window.parent = framed ? page.parent : window;
  const metas = {
    'meta[name="minthouse-origins"]': { content: PARTNER },
    'meta[name="minthouse-connections"]': { content: '[{"id": "connection_1", "name": "Provider"}]' },
    '.notice': main,
  };
  Object.assign(globalThis, {
    window,
    location: { origin: OWN, pathname: path, ancestorOrigins: [PARTNER], assign: (address) => page.gone.push(String(address)) },
    document: {
      documentElement: { lang: language }, body: main, referrer: '', visibilityState: 'visible',
      getElementById: (id) => ({ console: main, code, message })[id],
      querySelector: (selector) => metas[selector],
      createElement: (tag) => new Element(tag),
      addEventListener: (kind, act) => { page.visibility[kind] = act; },
      removeEventListener: (kind) => { delete page.visibility[kind]; },
    },
    ResizeObserver: class { observe() {} },
    setTimeout: time.setTimeout, setInterval: time.setInterval, clearTimeout: time.clear, clearInterval: time.clear,
    fetch: async (_, { body, headers }) => {
      const { query } = JSON.parse(body);
      const answer = answers(page, query);
      page.asked.push([/\w+/.exec(query.replace(/^mutation\([^)]*\)/, ''))[0], headers['accept-language']]);
      return { json: async () => answer, headers: new Headers({ date: new Date(rightNow()).toUTCString() }) };
    },
  });
  Date.now = () => rightNow() + 31 * MINUTE;
  return page;
}

function answers(page, query) {
  if (query.includes('ssoTicketSpend')) {
    if (page.badTicket) return { data: { ssoTicketSpend: { userErrors: [{ code: 'TICKET_SPENT', message: 'It is spent.' }] } } };
    const expiresAt = new Date(rightNow() + HALF_AN_HOUR).toISOString();
    const enterprise = { id: 'e', slug: 'alpha', name: { text: 'Alpha' } };
    return { data: { ssoTicketSpend: { token: 't', expiresAt, operator: { id: 'o', name: 'Lin', role: 'ADMIN' }, enterprise, userErrors: [] } } };
  }
  if (page.sessionEnded) return { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] };
  return { data: { viewer: { kind: 'OPERATOR' }, activities: { nodes: [] } } };
}

const copies = await mkdtemp(join(tmpdir(), 'minthouse-console-'));

/// Runs a script of the folder afresh: node loads what stands at one address once.
async function run(file) {
  const copy = await mkdtemp(join(copies, 'run-'));
  await cp(folder, copy, { recursive: true });
  await writeFile(join(copy, 'package.json'), '{"type": "module"}');
  await import(pathToFileURL(join(copy, file)));
  await settled();
}

async function entered(page) {
  await run('embedded.js');
  await page.say({ type: 'minthouse:open', ticket: 'T', nonce: 'N' });
  await settled();
  assert.equal(page.told('minthouse:opened'), 1);
  assert.match(page.main.textContent, /Lin/);
}

const names = (page) => page.main.buttons.map((button) => button.textContent);

const scenes = {
  async 'a clock that is fast ends nothing early'() {
    const page = browser();
    await entered(page);
    await page.time.pass(HALF_AN_HOUR - MINUTE);
    assert.equal(page.told('minthouse:expired'), 0);
    await page.time.pass(2 * MINUTE);
    assert.equal(page.told('minthouse:expired'), 1);
    assert.deepEqual(names(page), ['Sign in with Provider']);
    const asked = page.asked.length;
    await page.time.pass(HALF_AN_HOUR);
    assert.equal(page.asked.length, asked, 'nobody asks after a session that is over');
  },

  async 'what the server has ended is seen within half a minute'() {
    const page = browser();
    await entered(page);
    await page.time.pass(29_000);
    page.sessionEnded = true;
    assert.equal(page.told('minthouse:expired'), 0);
    await page.time.pass(1_000);
    assert.equal(page.told('minthouse:expired'), 1);
    assert.match(page.main.textContent, /session has ended/);
  },

  async 'nobody asks for a page that nobody sees'() {
    const page = browser();
    await entered(page);
    const asked = page.asked.length;
    document.visibilityState = 'hidden';
    page.sessionEnded = true;
    await page.time.pass(10 * MINUTE);
    assert.equal(page.asked.length, asked);
    document.visibilityState = 'visible';
    page.visibility.visibilitychange();
    await settled();
    assert.equal(page.told('minthouse:expired'), 1);
  },

  async 'after a bad ticket the sign-in is offered'() {
    const page = browser({ language: 'zh-CN' });
    await run('embedded.js');
    page.badTicket = true;
    await page.say({ type: 'minthouse:open', ticket: 'T', nonce: 'N' });
    await settled();
    assert.equal(page.told('minthouse:failed'), 1);
    assert.deepEqual(names(page), ['使用“Provider”登录']);
    assert.deepEqual(page.asked, [['ssoTicketSpend', 'zh']]);
  },

  async 'a refusal in the other window leads back to the sign-in'() {
    const page = browser();
    await run('embedded.js');
    const [button] = page.main.buttons;
    button.listeners.click();
    const [[address]] = page.opened;
    assert.equal(address, `${OWN}/sso/oidc/connection_1/start?lang=en&origin=${encodeURIComponent(PARTNER)}`);
    const refused = { type: 'minthouse:refused', code: 'NO_ROLE', message: 'Not you.' };
    await page.say(refused, { source: other(), origin: OWN });
    await page.say(refused, { source: page.popup, origin: PARTNER });
    await page.say(refused);
    assert.doesNotMatch(page.main.textContent, /Not you/);
    await page.say(refused, { source: page.popup, origin: OWN });
    assert.match(page.main.textContent, /Not you/);
    assert.deepEqual(names(page), ['Sign in with Provider']);
    // They went back in that window, and came in.
    await page.say({ type: 'minthouse:ticket', ticket: 'T', nonce: 'N' }, { source: page.popup, origin: OWN });
    await settled();
    assert.match(page.main.textContent, /Lin/);
    await page.say(refused, { source: page.popup, origin: OWN });
    assert.match(page.main.textContent, /Lin/, 'an open session is not shut by a window that was left');
  },

  async 'the page of a refusal tells the console that opened it, and no other origin'() {
    const opener = other();
    const page = browser({ path: '/sso/oidc/connection_1/callback', opener, framed: false });
    await run('notice.js');
    const refused = { type: 'minthouse:refused', code: 'NO_ROLE', message: 'No role of yours is known here.' };
    assert.deepEqual(opener.heard, [[refused, OWN]]);
    assert.deepEqual(names(page), ['Close and try again']);
    page.main.buttons[0].listeners.click();
    assert.ok(page.closed);
  },

  async 'without another window it leads to the start'() {
    const page = browser({ language: 'zh-CN', path: '/sso/oidc/connection_1/callback', framed: false });
    await run('notice.js');
    assert.deepEqual(names(page), ['重新登录']);
    page.main.buttons[0].listeners.click();
    assert.deepEqual(page.gone, ['/sso/oidc/connection_1/start?lang=zh']);
    const elsewhere = browser({ path: '/embedded/nope', framed: false });
    await run('notice.js');
    assert.deepEqual(names(elsewhere), []);
  },
};

try {
  for (const [name, play] of Object.entries(scenes)) {
    await play();
    console.log(`ok ${name}`);
  }
} finally {
  await rm(copies, { recursive: true });
}
