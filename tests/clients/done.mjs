// Runs the last page of a sign-in (web/embedded/done.js) on a browser's globals, and tells which nonce it spends the
// ticket with. Parameters: {"page": path, "protocol": "https:", "cookie": what the browser holds}.
import { readFile } from 'node:fs/promises';

const { page, protocol, cookie } = JSON.parse(process.argv[2]);
const text = await readFile(page, 'utf8');
const imported = "import { handBack, notice, show, spend, watch, words } from './console.js';";
if (!text.includes(imported)) throw new Error('the page imports something else than this script stands in for');

const spent = [];
globalThis.location = { hash: '#ticket=T', protocol, pathname: '/sso/done', search: '', origin: `${protocol}//house.example` };
globalThis.history = { replaceState() {} };
globalThis.document = { cookie };
globalThis.window = { opener: null };
globalThis.console_js = {
  handBack() {}, notice() {}, show() {}, watch() {}, words: {},
  async spend(ticket, nonce) {
    spent.push([ticket, nonce]);
    return {};
  },
};
const source = text.replace(imported, 'const { handBack, notice, show, spend, watch, words } = globalThis.console_js;');
await import(`data:text/javascript,${encodeURIComponent(source)}`);
console.log(`ok ${JSON.stringify(spent)}`);
