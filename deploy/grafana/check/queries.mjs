// Asks a Prometheus what the panels ask.
import {dashboard, interpolate, panels, stepMs, variables} from './dashboard.mjs';

// ask runs one query of a panel the way Grafana would and gives the answer with what was asked.
export async function ask(prometheus, panel, target, time, accounts) {
  const expr = interpolate(target.expr, variables(panel, time, accounts));
  const step = stepMs(panel, time);
  if (target.instant === target.range) throw new Error('a query must be either instant or range');
  const answer = target.instant
    ? await prometheus.instant(expr, time.to)
    : await prometheus.range(expr, time.from, time.to, step / 1000);
  return {target, expr, stepMs: step, answer};
}

// askAll runs every query of every panel and gives, for each, the panel with its answer or its error.
export async function askAll(prometheus, time, accounts, board = dashboard) {
  const asked = [];
  for (const panel of panels(board)) {
    for (const target of panel.targets) {
      try {
        asked.push({panel, ...(await ask(prometheus, panel, target, time, accounts))});
      } catch (error) {
        asked.push({panel, target, error: error.message});
      }
    }
  }
  return asked;
}

// annotations gives the times at which the dashboard's own annotations begin, in ms, with their colour. They are
// no panel's: none is a legitimate answer, but a query that Prometheus refuses is not.
export async function annotations(prometheus, time, accounts, board = dashboard) {
  const marks = [];
  for (const note of board.annotations.list.filter(a => a.enable && a.target)) {
    const wide = {gridPos: {w: 24}, interval: note.target.interval};
    const expr = interpolate(note.target.expr, variables(wide, time, accounts));
    const step = stepMs(wide, time) / 1000;
    const {result} = await prometheus.range(expr, time.from, time.to, step);
    for (const {values} of result) {
      values.forEach(([t], i) => {
        if (i === 0 || t - values[i - 1][0] > step) marks.push({time: t * 1000, color: note.iconColor, name: note.name});
      });
    }
  }
  return marks;
}
