// Drives Debian's headless Chromium over a pair of pipes: no port, no driver, nothing downloaded.
import {spawn} from 'node:child_process';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--hide-scrollbars', '--force-device-scale-factor=1',
  // Only the page's own server can be reached, whatever a component may ask for.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
  '--remote-debugging-pipe',
];

// withPage opens a page of the given width, calls use with it and closes everything. The page has `send` (a command
// of the DevTools protocol) and `complaints` (errors of its scripts, console and requests).
export async function withPage(width, use) {
  const home = await mkdtemp(join(tmpdir(), 'rootwatch-chromium-'));
  const browser = spawn('chromium', [...FLAGS, `--user-data-dir=${home}`], {stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe']});
  const gone = new Promise(resolve => browser.once('exit', resolve));
  try {
    const connection = new Connection(browser);
    const {targetId} = await connection.send('Target.createTarget', {url: 'about:blank'});
    const {sessionId} = await connection.send('Target.attachToTarget', {targetId, flatten: true});
    const send = (method, params) => connection.send(method, params, sessionId);
    const complaints = [];
    connection.onEvent = event => complaints.push(...complaintsOf(event));
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(`${domain}.enable`);
    await send('Emulation.setDeviceMetricsOverride', {width, height: 1080, deviceScaleFactor: 1, mobile: false});
    return await use({send, complaints});
  } finally {
    browser.kill();
    await gone;
    await rm(home, {recursive: true, force: true, maxRetries: 5});
  }
}

function complaintsOf({method, params}) {
  switch (method) {
    case 'Runtime.exceptionThrown':
      return [`exception: ${params.exceptionDetails.exception?.description ?? params.exceptionDetails.text}`];
    case 'Runtime.consoleAPICalled':
      if (params.type !== 'error' && params.type !== 'assert') return [];
      return [`console: ${params.args.map(a => a.value ?? a.description).join(' ')}`];
    case 'Network.responseReceived':
      return params.response.status >= 400 ? [`HTTP ${params.response.status} for ${params.response.url}`] : [];
    case 'Network.loadingFailed':
      return params.canceled ? [] : [`request failed: ${params.errorText}`];
    default:
      return [];
  }
}

// Connection speaks the DevTools protocol: JSON messages, each ended by a NUL byte.
class Connection {
  onEvent = () => {};
  #waiting = new Map();
  #last = 0;
  #rest = '';

  constructor(browser) {
    [, , , this.input, this.output] = browser.stdio;
    this.output.setEncoding('utf8').on('data', chunk => this.#read(chunk));
    this.input.on('error', () => {}); // the exit below says more
    browser.once('error', error => this.#fail(error));
    browser.once('exit', code => this.#fail(new Error(`chromium ended with ${code}`)));
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`chromium did not answer ${method} within 120 s`)), 120_000);
      this.#waiting.set(id, {resolve, reject, timer});
      this.input.write(JSON.stringify({id, method, params, sessionId}) + '\0');
    });
  }

  #read(chunk) {
    const messages = (this.#rest + chunk).split('\0');
    this.#rest = messages.pop();
    for (const message of messages.map(m => JSON.parse(m))) {
      if (message.id === undefined) this.onEvent(message);
      else this.#answer(message);
    }
  }

  #answer({id, result, error}) {
    const {resolve, reject, timer} = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(timer);
    if (error) reject(new Error(error.message));
    else resolve(result);
  }

  #fail(error) {
    for (const {reject, timer} of this.#waiting.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#waiting.clear();
  }
}
