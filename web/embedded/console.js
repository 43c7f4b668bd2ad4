// What the embedded page and the page at the end of a sign-in share: words, the API, and the small console itself.
// The token lives in a variable here and nowhere else: not in storage, not in a cookie, not in the page.

const WORDS = {
  zh: {
    waiting: '正在等待登录…', opening: '正在登录…', expired: '登录已结束，请从原页面重新进入。', signIn: '请登录',
    outside: '请从合作平台的页面中打开此控制台。', nothing: '暂无活动', recent: '最近的活动', until: '本次登录有效至',
    unreachable: '网络异常，请稍后重试。', handed: '已登录，可以关闭此窗口。',
    noTicket: '此页面没有可用的登录凭证：每次登录只生效一次，刷新即失效。请关闭此窗口，从原页面重新登录。',
    with: (name) => `使用“${name}”登录`, again: '重新登录', close: '关闭并重试',
    roles: { OWNER: '所有者', ADMIN: '管理员', OPERATOR: '运营', FINANCE: '财务', AUDITOR: '审计' },
    kinds: { DRAW: '抽奖', SALE: '发售', AIRDROP: '空投' },
    states: {
      DRAFT: '草稿', IN_REVIEW: '审核中', APPROVED: '待发布', REJECTED: '已驳回', PUBLISHED: '进行中', PAUSED: '已暂停',
      ENDED: '已结束', SETTLED: '已结算', ARCHIVED: '已归档', TERMINATED: '已终止',
    },
  },
  en: {
    waiting: 'Waiting for the sign-in…', opening: 'Signing in…', expired: 'The session has ended. Enter again from the page you came from.',
    signIn: 'Sign in to go on', outside: 'Open this console from the page of your platform.', nothing: 'No activities yet',
    recent: 'Recent activities', until: 'Signed in until', unreachable: 'The network failed; try again shortly.',
    noTicket: 'There is nothing to sign in with here: each sign-in is good once, and reloading ends it. Close this window, and sign in again from the page you came from.',
    handed: 'Signed in. You can close this window.', with: (name) => `Sign in with ${name}`, again: 'Sign in again', close: 'Close and try again',
    roles: { OWNER: 'Owner', ADMIN: 'Administrator', OPERATOR: 'Operator', FINANCE: 'Finance', AUDITOR: 'Auditor' },
    kinds: { DRAW: 'Draw', SALE: 'Sale', AIRDROP: 'Airdrop' },
    states: {
      DRAFT: 'Draft', IN_REVIEW: 'In review', APPROVED: 'Approved', REJECTED: 'Rejected', PUBLISHED: 'Running',
      PAUSED: 'Paused', ENDED: 'Ended', SETTLED: 'Settled', ARCHIVED: 'Archived', TERMINATED: 'Terminated',
    },
  },
};

// The server has chosen: by `?lang=`, else by what the browser prefers.
export const language = document.documentElement.lang.startsWith('en') ? 'en' : 'zh';
export const words = WORDS[language];
const main = document.getElementById('console');

function element(tag, classes, ...children) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  // Texts become text nodes: nothing that somebody is called is ever read as HTML.
  made.append(...children);
  return made;
}

export function notice(text, { waiting = false, more = [] } = {}) {
  const mark = element('div', waiting ? 'mark waiting' : 'mark', waiting ? '…' : 'M');
  mark.setAttribute('aria-hidden', 'true');
  main.replaceChildren(element('section', 'card notice', mark, element('p', '', text), ...more));
}

export function button(text, act) {
  const made = element('button', '', text);
  made.type = 'button';
  made.addEventListener('click', act);
  return made;
}

export function choices(...buttons) {
  return element('div', 'ways', ...buttons);
}

export function ways(connections, begin) {
  return choices(...connections.map((connection) => button(words.with(connection.name), () => begin(connection))));
}

/// A sign-in has come to nothing in a window of its own: tells the console that opened it, and offers to go back there.
/// Gives nothing where no other window waits.
export function handBack(code, message) {
  if (!window.opener) return [];
  window.opener.postMessage({ type: 'minthouse:refused', code, message }, location.origin);
  return [choices(button(words.close, () => window.close()))];
}

async function ask(query, variables, token) {
  const headers = { 'content-type': 'application/json', accept: 'application/json', 'accept-language': language };
  if (token) headers.authorization = `Bearer ${token}`;
  const response = await fetch('/graphql', {
    method: 'POST', headers, body: JSON.stringify({ query, variables }), credentials: 'omit', cache: 'no-store',
  });
  return { ...await response.json(), date: response.headers.get('date') };
}

const SPEND = `mutation($input: SsoTicketSpendInput!) { ssoTicketSpend(input: $input) {
  token expiresAt operator { id name role } enterprise { id slug name { text } } userErrors { code message } } }`;
const STILL_IN = '{ viewer { kind } }';
const RECENT = '{ activities(first: 6) { nodes { id kind state name { text } } } }';

/// Spends a ticket. Gives {token, expiresAt, milliseconds, operator, enterprise}, or {failure: {code, message}}.
///
/// How long the session lasts is told by the server's two times. This computer's clock may be wrong.
export async function spend(ticket, nonce, embedder) {
  try {
    const answer = await ask(SPEND, { input: { ticket, nonce, embedder } });
    const payload = answer.data?.ssoTicketSpend;
    if (payload?.token) return { ...payload, milliseconds: new Date(payload.expiresAt) - new Date(answer.date ?? NaN) };
    const error = payload?.userErrors?.[0];
    const fault = answer.errors?.[0];
    return { failure: { code: error?.code ?? fault?.extensions?.code ?? 'INTERNAL', message: error?.message ?? fault?.message ?? words.unreachable } };
  } catch {
    return { failure: { code: 'UNREACHABLE', message: words.unreachable } };
  }
}

/// How often the server is asked whether a session that somebody looks at still holds.
const PACE = 30_000;

/// Calls `ended` once: when the session's time is over, or when the server says that it has ended. Gives what stops it.
export function watch({ token, milliseconds }, ended) {
  let asking = false;
  const end = () => {
    stop();
    ended();
  };
  const look = async () => {
    if (asking || document.visibilityState !== 'visible') return;
    asking = true;
    try {
      const { errors } = await ask(STILL_IN, {}, token);
      if (timer && errors?.some((error) => error.extensions?.code === 'UNAUTHENTICATED')) end();
    } catch {
      // A network that fails says nothing of the session.
    } finally {
      asking = false;
    }
  };
  let timer = setInterval(look, PACE);
  // Without the server's time, it alone knows when the session ends.
  const over = Number.isNaN(milliseconds) ? undefined : setTimeout(end, Math.max(0, milliseconds));
  document.addEventListener('visibilitychange', look);
  function stop() {
    clearInterval(timer);
    timer = undefined;
    clearTimeout(over);
    document.removeEventListener('visibilitychange', look);
  }
  return stop;
}

/// Shows who is signed in, and what happened last in their enterprise.
export async function show({ token, expiresAt, milliseconds, operator, enterprise }) {
  const initial = element('div', 'mark', [...operator.name][0] ?? '·');
  initial.setAttribute('aria-hidden', 'true');
  // As the clock beside it shows it, be that right or wrong.
  const end = Number.isNaN(milliseconds) ? new Date(expiresAt) : new Date(Date.now() + milliseconds);
  const time = end.toLocaleTimeString(language === 'zh' ? 'zh-CN' : 'en', { hour: '2-digit', minute: '2-digit' });
  const names = element('div', '', element('h1', '', operator.name), element('p', 'quiet', `${enterprise.name.text} · ${words.until} ${time}`));
  const role = element('span', 'role', words.roles[operator.role] ?? operator.role);
  const list = element('ul', '');
  main.replaceChildren(
    element('section', 'card', element('div', 'who', initial, names, role)),
    element('section', 'card', element('h2', '', words.recent), list),
  );
  let activities = [];
  try {
    activities = (await ask(RECENT, {}, token)).data?.activities?.nodes ?? [];
  } catch {
    // The list is an extra: who is signed in stands there without it.
  }
  if (activities.length === 0) list.append(element('li', 'quiet', words.nothing));
  for (const { name, kind, state } of activities) {
    list.append(element(
      'li', '',
      element('span', 'name', name.text),
      element('span', 'kind', words.kinds[kind] ?? kind),
      element('span', state === 'PUBLISHED' ? 'state live' : 'state', words.states[state] ?? state),
    ));
  }
}
