// draw.mjs URL OUT.png: draws the dashboard from its JSON and the live answers of a Prometheus, with Grafana's own
// components in headless Chromium. Fails when something is missing, blank, cut off, or complains.
import {execFileSync} from 'node:child_process';
import {createReadStream} from 'node:fs';
import {mkdtemp, rm, stat, writeFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import {tmpdir} from 'node:os';
import {extname, join, normalize} from 'node:path';
import {fileURLToPath} from 'node:url';
import {build} from 'esbuild';
import {withPage} from './chromium.mjs';
import {dashboard, panels, variable, WIDTH} from './dashboard.mjs';
import {Prometheus, shownRange} from './prometheus.mjs';
import {annotations, askAll} from './queries.mjs';

// Bytes of the picture, at most.
const LARGEST = 400 * 1024;

const HERE = fileURLToPath(new URL('.', import.meta.url));
const MODULES = join(HERE, 'node_modules');
const HTML = '<!doctype html><meta charset="utf-8"><title>rootwatch</title><style>body { margin: 0 }</style><link rel="stylesheet" href="/main.css"><div id="root"></div><script type="module" src="/main.js"></script>';

// Grafana's paths of fonts and icons, and where the packages have them.
const STATIC = [
  ['/public/build/img/icons/', '@grafana/ui/dist/public/img/icons/'],
  ['/public/fonts/inter/Inter-Regular.woff2', '@fontsource/inter/files/inter-latin-400-normal.woff2'],
  ['/public/fonts/inter/Inter-Medium.woff2', '@fontsource/inter/files/inter-latin-500-normal.woff2'],
  ['/public/fonts/roboto/', '@fontsource/roboto-mono/files/roboto-mono-latin-400-normal.woff2'],
];
const TYPES = {'.js': 'text/javascript', '.svg': 'image/svg+xml', '.woff2': 'font/woff2', '.css': 'text/css'};

const [url, out] = process.argv.slice(2);
if (!url || !out) {
  console.error('usage: node draw.mjs PROMETHEUS_URL OUT.png');
  process.exit(2);
}

const input = await gather(new Prometheus(url));
const bundle = await mkdtemp(join(tmpdir(), 'rootwatch-page-'));
try {
  await build({
    entryPoints: [join(HERE, 'page/main.tsx')],
    outdir: bundle,
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    jsx: 'automatic',
    define: {'process.env.NODE_ENV': '"production"', global: 'window'},
    loader: {'.svg': 'dataurl', '.ttf': 'dataurl', '.woff': 'dataurl', '.woff2': 'dataurl'},
    logLevel: 'error',
  });
  const server = serve(bundle, input);
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  try {
    await draw(`http://127.0.0.1:${server.address().port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
} finally {
  await rm(bundle, {recursive: true, force: true});
}

// gather asks the queries and puts together what the page needs.
async function gather(prometheus) {
  const time = await shownRange(prometheus);
  const answers = {};
  for (const {panel, error, ...asked} of await askAll(prometheus, time, null)) {
    if (error) throw new Error(`panel ${panel.id} "${panel.title}": ${error}`);
    (answers[panel.id] ??= []).push(asked);
  }
  const shown = {datasource: 'Prometheus', account: 'All', runbooks: variable('runbooks').query};
  return {width: WIDTH, dashboard, time, variables: shown, answers, marks: await annotations(prometheus, time, null)};
}

function serve(bundle, input) {
  return createServer((request, response) => {
    const path = normalize(new URL(request.url, 'http://page').pathname);
    if (path === '/') return void response.setHeader('content-type', 'text/html').end(HTML);
    if (path === '/favicon.ico') return void response.writeHead(204).end();
    if (path === '/input.json') return void response.setHeader('content-type', 'application/json').end(JSON.stringify(input));
    const [from, to] = STATIC.find(([prefix]) => path.startsWith(prefix)) ?? [];
    const file = !from ? join(bundle, path) : join(MODULES, to.endsWith('/') ? to + path.slice(from.length) : to);
    createReadStream(file)
      .on('error', () => response.writeHead(404).end())
      .once('open', () => response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream'))
      .pipe(response);
  });
}

async function draw(address) {
  await withPage(WIDTH, async ({send, complaints}) => {
    await send('Page.addScriptToEvaluateOnNewDocument', {source: 'window.__grafana_public_path__ = "/public/"'});
    await send('Page.navigate', {url: address});
    const report = await reportOf(send);
    // What lies outside the window is not painted in time: make the window as high as the dashboard.
    await send('Emulation.setDeviceMetricsOverride', {width: report.width, height: report.height, deviceScaleFactor: 1, mobile: false});
    await send('Runtime.evaluate', {expression: 'new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))', awaitPromise: true});
    const {data} = await send('Page.captureScreenshot', {
      format: 'png',
      captureBeyondViewport: true,
      clip: {x: 0, y: 0, width: report.width, height: report.height, scale: 1},
    });
    // Few colours, and a picture that is kept in git: 256 of them show no difference.
    await writeFile(out, execFileSync('pngquant', ['--speed', '1', '256', '-'], {input: Buffer.from(data, 'base64'), maxBuffer: 2 ** 26}));
    const wrong = [...report.problems, ...complaints];
    if (report.drawn !== panels().length) wrong.push(`${report.drawn} of ${panels().length} panels were drawn`);
    const {size} = await stat(out);
    if (size > LARGEST) wrong.push(`the picture has ${size} bytes, more than ${LARGEST}`);
    for (const w of wrong) console.error(`FAILED ${w}`);
    console.log(`${report.drawn} panels drawn, ${report.width}x${report.height}, ${Math.ceil(size / 1024)} KiB: ${out}; ${wrong.length} problems`);
    process.exitCode = wrong.length ? 1 : 0;
  });
}

// reportOf waits for the page's script to have started and then for its report.
async function reportOf(send) {
  const expression = 'new Promise(r => { const look = () => (window.report ? r(window.report) : setTimeout(look, 50)); look(); })';
  const {result, exceptionDetails} = await send('Runtime.evaluate', {expression, awaitPromise: true, returnByValue: true});
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
}
