// Proves, with promtool, that the dashboard counts root calls as they were: a call that a counter was born with, or
// that was counted before the first scrape, is on the dashboard, and neither a deploy nor a gap in the scrapes makes
// one up. increase() alone fails most of these.
import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {interpolate, panels} from './dashboard.mjs';

const PROM = fileURLToPath(new URL('../../tools/prom', import.meta.url));

// Scrapes every 15 s; "_" is a scrape that did not happen, a series that has ended is "stale". Each says how many
// calls happened within the hour, and what its tasks showed.
const cases = [
  ['an account\'s first call: its series is born at 1', 1, {a: '_x100 1x300'}],
  ['a call after a scrape that showed zero', 1, {a: '0x100 1x300'}],
  ['three calls between two scrapes', 3, {a: '0x100 3x300'}],
  ['two calls, five minutes apart', 2, {a: '0x50 1x20 2x330'}],
  ['only calls that are older than the range', 0, {a: '3x400'}],
  ['a restart, then two calls', 2, {a: '5x50 0x50 2x300'}],
  ['a restart and a call before its first scrape', 1, {a: '5x100 1x300'}],
  ['a second task that has already counted two when it is first scraped', 2, {a: '3x400', b: '_x100 2x300'}],
  ['a rolling deploy without a call', 0, {a: '3x100 stale', b: '_x100 0x300'}],
  ['no scrape for half an hour, and no call', 0, {a: '3x60 _x120 3x220'}],
  ['no scrape for half an hour, and a call in it', 1, {a: '3x60 _x120 4x220'}],
  ['a task that was scraped once with its call and is gone', 1, {a: '_x100 1 stale'}],
];

const exprOf = title => {
  const panel = panels().find(p => p.title === title);
  if (!panel) throw new Error(`no panel "${title}"`);
  return interpolate(panel.targets[0].expr, {account: '.*', __range: '1h', __interval: '1m'});
};
const inRange = exprOf('Unexplained root calls');
// All the bars of the hour together, one a minute.
const inBars = `sum(sum_over_time((${exprOf('Root calls over time')})[59m30s:1m]))`;

const tests = cases.map(([name, calls, tasks]) => ({
  interval: '15s',
  name,
  input_series: [
    {series: 'rootwatch_root_calls_total{verdict="unexplained",reason="sign_in",instance="a"}', values: '0x400'},
    ...Object.entries(tasks).map(([instance, values]) => ({
      series: `rootwatch_root_calls_by_account_total{verdict="unexplained",account_id="111122223333",instance="${instance}"}`,
      values,
    })),
  ],
  promql_expr_test: [inRange, inBars].map(expr => ({expr, eval_time: '1h', exp_samples: [{labels: '{}', value: calls}]})),
}));

const work = mkdtempSync(join(tmpdir(), 'rootwatch-counting-'));
try {
  const file = join(work, 'counting_test.yml');
  writeFileSync(file, JSON.stringify({evaluation_interval: '15s', tests}));
  // The current Prometheus and an old one: what a range holds at its very edge differs between them.
  for (const version of [[], ['--debian']]) {
    execFileSync(PROM, [...version, 'promtool', 'test', 'rules', file], {stdio: ['ignore', 'ignore', 'inherit']});
    console.log(`counts right: ${cases.length} scenarios, promtool ${version.length ? "of Debian's packages" : 'of today'}`);
  }
} finally {
  rmSync(work, {recursive: true, force: true});
}
