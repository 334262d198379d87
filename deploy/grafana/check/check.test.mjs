// What the checks themselves promise: that they find what is wrong. Needs no Prometheus: a small stand-in answers.
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {createServer} from 'node:http';
import {describe, it} from 'node:test';
import {fileURLToPath} from 'node:url';
import {accountValue, dashboard, interpolate, panels, stepMs, variables} from './dashboard.mjs';
import {isEmpty, shownRange} from './prometheus.mjs';

const here = path => fileURLToPath(new URL(path, import.meta.url));
const hour = {from: 1_800_000_000, to: 1_800_003_600};

// The panels without a value from which on things are bad, and why.
const neverBad = {
  'Service-invoked root calls': 'services may act as root as often as they like',
  'Last root calls by account': 'a row is a fact; its verdict and severity are words',
  'Alerts firing now': 'a row is an alert, and its severity a word',
  Records: 'traffic: too little is the heartbeat\'s business, too much is lag\'s',
  Bytes: 'as Records',
  'Events by result': 'the results that are bad have panels of their own',
  Goroutines: 'how many are normal depends on the shards; a slope is what to look for',
  Versions: 'a version is no amount',
};

describe('the dashboard', () => {
  it('gives each panel an id of its own', () => {
    const ids = dashboard.panels.flatMap(p => [p.id, ...(p.panels ?? []).map(q => q.id)]);
    assert.equal(new Set(ids).size, ids.length);
  });

  it('lays no panel over another, and none beside the grid', () => {
    const taken = new Map();
    for (const {id, gridPos: g} of dashboard.panels) {
      assert.ok(g.x >= 0 && g.x + g.w <= 24, `panel ${id} leaves the grid`);
      for (let x = g.x; x < g.x + g.w; x++) {
        for (let y = g.y; y < g.y + g.h; y++) {
          assert.ok(!taken.has(`${x} ${y}`), `panels ${id} and ${taken.get(`${x} ${y}`)} overlap`);
          taken.set(`${x} ${y}`, id);
        }
      }
    }
  });

  for (const panel of panels().filter(p => p.type !== 'text')) {
    it(`says of "${panel.title}" what it means, in which unit, from when on it is bad, and what none means`, () => {
      const {defaults, overrides} = panel.fieldConfig;
      assert.ok(panel.description.length > 20);
      const steps = [defaults.thresholds, ...overrides.flatMap(o => o.properties.filter(p => p.id === 'thresholds').map(p => p.value))].map(t => t.steps.length);
      if (panel.title in neverBad) assert.deepEqual(steps, [1], 'it has a threshold, so it does not belong on the list');
      else assert.ok(Math.max(...steps) >= 2, 'no value is bad');
      assert.ok(defaults.noValue);
      const units = [defaults.unit, ...overrides.flatMap(o => o.properties.filter(p => p.id === 'unit').map(p => p.value))];
      assert.ok(units.some(Boolean), 'no unit');
    });
  }

  it('has each panel that is never bad', () => {
    const titles = panels().map(p => p.title);
    for (const title of Object.keys(neverBad)) assert.ok(titles.includes(title), title);
  });

  it('asks the data source that was chosen, everywhere', () => {
    for (const p of panels().filter(p => p.targets.length)) {
      for (const {uid} of [p.datasource, ...p.targets.map(t => t.datasource)]) assert.equal(uid, '${datasource}', p.title);
    }
  });

  it('narrows to the chosen accounts whatever has an account', () => {
    const byAccount = /rootwatch_(root_calls_by_account_total|last_root_call_timestamp_seconds)\b(?!\{[^}]*\$account)/;
    const unnarrowed = panels().filter(p => p.targets.some(t => byAccount.test(t.expr))).map(p => p.title);
    assert.deepEqual(unnarrowed, ['Accounts seen'], 'only this one is about all accounts');
  });

  it('links only to runbooks of alerts that there are', () => {
    const rules = readFileSync(here('../../prometheus/rootwatch.rules.yml'), 'utf8');
    const named = [...JSON.stringify(dashboard).matchAll(/\$\{runbooks\}\/(\w+)\.md/g)].map(m => m[1]);
    assert.ok(named.length > 5);
    for (const alert of new Set(named)) {
      assert.match(rules, new RegExp(`alert: ${alert}\\n`));
      assert.ok(existsSync(here(`../../runbooks/${alert}.md`)), `deploy/runbooks/${alert}.md is missing`);
    }
  });
});

describe('queries', () => {
  it('fill in the accounts as Grafana does', () => {
    assert.equal(accountValue(null), '.*');
    assert.equal(accountValue(['111122223333']), '111122223333');
    assert.equal(accountValue(['111122223333', '444455556666']), '(111122223333|444455556666)');
  });

  it('refuse a variable that nothing defines', () => {
    assert.throws(() => interpolate('up{account="$acount"}', {account: '.*'}), /\$acount/);
    assert.equal(interpolate('[$__range] ${account}', {__range: '5m', account: 'x'}), '[5m] x');
  });

  it('step no finer than the panel is wide, nor than it says', () => {
    const wide = {gridPos: {w: 24}};
    assert.equal(stepMs(wide, hour), 15_000);
    assert.equal(stepMs({...wide, interval: '1m'}, hour), 60_000);
    assert.ok(stepMs(wide, {from: 0, to: 7 * 86_400}) >= 300_000);
    assert.equal(variables(wide, hour, null).__rate_interval, '60s');
  });

  it('are empty when nothing but NaN comes back', () => {
    assert.ok(isEmpty({resultType: 'vector', result: []}));
    assert.ok(isEmpty({resultType: 'vector', result: [{value: [0, 'NaN']}]}));
    assert.ok(isEmpty({resultType: 'matrix', result: [{values: [[0, 'NaN'], [1, 'NaN']]}]}));
    assert.ok(!isEmpty({resultType: 'matrix', result: [{values: [[0, 'NaN'], [1, '0']]}]}));
    assert.throws(() => isEmpty({resultType: 'string', result: [0, 'up']}), /string/);
  });
});

describe('the time that is shown', () => {
  const now = 1_800_000_030;
  const prometheus = (past, present) => ({
    range: async () => ({resultType: 'matrix', result: past ? [{values: past.map(t => [t, '1'])}] : []}),
    instant: async () => ({resultType: 'vector', result: present ? [{value: [now, '1']}] : []}),
  });

  it('begins with the first scrape', async () => {
    assert.deepEqual(await shownRange(prometheus([now - 3630, now - 30], true), now), {from: now - 3690, to: now});
  });

  it('is five minutes when the first scrape is younger than that, or than the step of the search', async () => {
    assert.deepEqual(await shownRange(prometheus([now - 30], true), now), {from: now - 300, to: now});
    assert.deepEqual(await shownRange(prometheus(null, true), now), {from: now - 300, to: now});
  });

  it('is refused when nobody scrapes rootwatch', async () => {
    await assert.rejects(shownRange(prometheus(null, false), now), /no job "rootwatch"/);
  });
});

describe('query-check', () => {
  const metric = 'rootwatch_checkpoints_total';

  it('passes when every query has an answer', async () => {
    const {code, stdout} = await queryCheck(() => answer(1));
    assert.equal(code, 0);
    assert.match(stdout, /, 0 failed/);
  });

  for (const [what, given, said] of [
    ['an empty answer', () => answer(null), /empty answer/],
    ['nothing but NaN', () => answer('NaN'), /empty answer/],
    ['an error', () => ({status: 'error', errorType: 'bad_data', error: 'parse error'}), /bad_data: parse error/],
    ['a warning', () => ({...answer(1), warnings: ['a part is missing']}), /a part is missing/],
  ]) {
    it(`fails on ${what} and names the panel`, async () => {
      const {code, stderr} = await queryCheck(query => (query.includes(metric) ? given() : answer(1)));
      assert.equal(code, 1);
      assert.match(stderr, /"Checkpoints", query A/);
      assert.match(stderr, said);
    });
  }
});

// answer has one series; the shape, vector or matrix, is set by the server below.
function answer(value) {
  return {status: 'success', data: {value}};
}

// queryCheck runs query-check.mjs against a stand-in that gives what `give` says for a query.
async function queryCheck(give) {
  const server = createServer((request, response) => {
    const {pathname, searchParams} = new URL(request.url, 'http://prometheus');
    response.setHeader('content-type', 'application/json');
    if (pathname.startsWith('/api/v1/label/')) return void response.end(JSON.stringify({status: 'success', data: ['111122223333']}));
    const {data, ...rest} = give(searchParams.get('query'));
    response.statusCode = rest.error ? 400 : 200;
    response.end(JSON.stringify({...rest, data: data && shaped(pathname.endsWith('_range'), data.value)}));
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  try {
    return await new Promise(resolve => {
      const args = [here('query-check.mjs'), `http://127.0.0.1:${server.address().port}`];
      execFile(process.execPath, args, (error, stdout, stderr) => resolve({code: error ? error.code : 0, stdout, stderr}));
    });
  } finally {
    server.close();
  }
}

function shaped(isRange, value) {
  const now = Math.floor(Date.now() / 1000);
  const sample = isRange ? {values: [[now - 60, String(value)], [now, String(value)]]} : {value: [now, String(value)]};
  return {resultType: isRange ? 'matrix' : 'vector', result: value === null ? [] : [{metric: {}, ...sample}]};
}
