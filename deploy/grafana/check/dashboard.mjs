// The dashboard as Grafana would open it: its panels, and its queries with the variables filled in.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';

// Its ES modules are made for a bundler; Node loads the CommonJS build.
const {rangeUtil, dateTime} = createRequire(import.meta.url)('@grafana/data');

export const dashboard = JSON.parse(readFileSync(new URL('../rootwatch.json', import.meta.url), 'utf8'));

// Grafana's width of the picture in pixels, which also decides how fine a chart's steps are.
export const WIDTH = 1600;

// The scrape interval that Grafana assumes when the data source's settings name none.
const SCRAPE_MS = 15_000;

// panels gives all panels that show something, those in collapsed rows too.
export function panels(board = dashboard) {
  return board.panels.flatMap(p => (p.type === 'row' ? p.panels : [p]));
}

// variable gives one of the dashboard's variables by name.
export function variable(name, board = dashboard) {
  const found = board.templating.list.find(v => v.name === name);
  if (!found) throw new Error(`the dashboard has no variable ${name}`);
  return found;
}

// accountValue writes a choice of accounts as Grafana does: null is All, several become one group.
export function accountValue(chosen, board = dashboard) {
  if (chosen === null) return variable('account', board).allValue;
  return chosen.length === 1 ? chosen[0] : `(${chosen.join('|')})`;
}

// stepMs is the step of a panel's charts: as fine as its width in pixels allows, no finer than its minimum.
export function stepMs(panel, time) {
  const width = Math.floor((panel.gridPos.w / 24) * WIDTH);
  const lowest = panel.interval ?? `${SCRAPE_MS / 1000}s`;
  return rangeUtil.calculateInterval({from: dateTime(time.from * 1000), to: dateTime(time.to * 1000)}, width, lowest).intervalMs;
}

// variables gives the value of every variable that a query of the panel may name.
export function variables(panel, time, chosen, board = dashboard) {
  const step = stepMs(panel, time);
  return {
    account: accountValue(chosen, board),
    datasource: 'prometheus',
    runbooks: variable('runbooks', board).query,
    __interval: duration(step),
    __rate_interval: duration(Math.max(step + SCRAPE_MS, 4 * SCRAPE_MS)),
    __range: duration((time.to - time.from) * 1000),
  };
}

function duration(ms) {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

// interpolate fills variables in. A name that nothing defines is an error: Grafana would send it as it stands.
export function interpolate(text, values) {
  return text.replace(/\$(?:\{(\w+)\}|(\w+))/g, (all, braced, bare) => {
    const name = braced ?? bare;
    if (!(name in values)) throw new Error(`unknown variable ${all}`);
    return values[name];
  });
}
