// query-check.mjs URL: asks a real Prometheus every query of every panel; an error or an empty answer fails.
import {dashboard, panels, variable} from './dashboard.mjs';
import {Prometheus, isEmpty, shownRange} from './prometheus.mjs';
import {annotations, askAll} from './queries.mjs';

const [url] = process.argv.slice(2);
if (!url) {
  console.error('usage: node query-check.mjs PROMETHEUS_URL');
  process.exit(2);
}
const prometheus = new Prometheus(url);
const time = await shownRange(prometheus);
const problems = [];
const say = (panel, target, what) => problems.push(`panel ${panel.id} "${panel.title}", query ${target.refId}: ${what}`);

// With all accounts every query must give data.
const all = await askAll(prometheus, time, null);
for (const {panel, target, error, answer, expr} of all) {
  if (error) say(panel, target, error);
  else if (isEmpty(answer)) say(panel, target, `empty answer to\n    ${expr.replaceAll('\n', '\n    ')}`);
}

// With a choice of accounts an answer may be empty (they may be quiet), but never an error.
const accounts = await accountChoices();
for (const chosen of [accounts.slice(0, 1), accounts.slice(0, 2)]) {
  for (const {panel, target, error} of await askAll(prometheus, time, chosen)) {
    if (error) say(panel, target, `with account ${chosen.join(' and ')}: ${error}`);
  }
}
const marks = await annotations(prometheus, time, null);

// accountChoices gives the values that the variable offers.
async function accountChoices() {
  const [, metric, label] = /^label_values\((.+), *(\w+)\)$/.exec(variable('account').query.query) ?? [];
  if (!label) throw new Error('the query of the variable account is not understood');
  const values = await prometheus.labelValues(label, metric, time.from, time.to);
  if (values.length === 0) problems.push('variable account: no values');
  return values;
}

for (const p of problems) console.error(`FAILED ${p}`);
const series = all.reduce((n, a) => n + (a.answer?.result.length ?? 0), 0);
console.log(
  `${all.length} queries of ${panels(dashboard).filter(p => p.targets.length).length} panels over ` +
    `${Math.round((time.to - time.from) / 60)} min: ${series} series; ${accounts.length} accounts, ` +
    `${marks.length} annotations, ${problems.length} failed`,
);
process.exit(problems.length ? 1 : 0);
