// Draws the dashboard in a page and reports, as window.report, how large it is and what is wrong with it.
import {createTheme, EventBusSrv, ThemeContext, type DataFrame, type GrafanaTheme2} from '@grafana/data';
import {initPluginTranslations} from '@grafana/i18n';
import {GlobalStyles, PanelChrome, PanelContextProvider} from '@grafana/ui';
import {type ReactElement} from 'react';
import {createRoot} from 'react-dom/client';
import {fieldProblems, fieldsOf} from './fields';
import {framesOf} from './frames';
import {cutOff} from './inspect';
import type {Input, Panel, Report} from './input';
import {kinds} from './panels';

// Grafana's grid: rows of 30 px with gaps of 8.
const ROW = 30;
const GAP = 8;
const HEAD = 64;

interface Ready {
  panel: Panel;
  frames: DataFrame[];
}

function box(width: number, {x, y, w, h}: Panel['gridPos']) {
  const column = (width - GAP) / 24;
  return {left: GAP + x * column, top: HEAD + y * (ROW + GAP), width: w * column - GAP, height: h * (ROW + GAP) - GAP};
}

function Board({input, ready, theme}: {input: Input; ready: Ready[]; theme: GrafanaTheme2}): ReactElement {
  const replaceVariables = replacer(input);
  return (
    <>
      <Head input={input} theme={theme} />
      {input.dashboard.panels
        .filter((p: Panel) => p.type === 'row')
        .map((p: Panel) => (
          <div key={p.id} data-row style={{position: 'absolute', ...box(input.width, p.gridPos), ...theme.typography.h5, lineHeight: `${ROW}px`}}>
            {p.title}
          </div>
        ))}
      {ready.map(({panel, frames}) => {
        const at = box(input.width, panel.gridPos);
        return (
          <div key={panel.id} data-panel={panel.id} style={{position: 'absolute', ...at}}>
            <PanelChrome title={panel.title} description={panel.description} width={at.width} height={at.height}>
              {(width, height) =>
                kinds[panel.type]!({panel, frames, width, height, theme, time: input.time, marks: input.marks, replaceVariables})
              }
            </PanelChrome>
          </div>
        );
      })}
    </>
  );
}

function Head({input, theme}: {input: Input; theme: GrafanaTheme2}): ReactElement {
  const utc = (t: number) => new Date(t * 1000).toISOString().slice(0, 16).replace('T', ' ');
  const chosen: Array<{name: string; label: string; hide: number}> = input.dashboard.templating.list;
  const shown = chosen.filter(v => v.hide === 0).map(v => `${v.label}: ${input.variables[v.name]}`);
  return (
    <div style={{position: 'absolute', left: 2 * GAP, right: 2 * GAP, top: GAP, height: HEAD - 2 * GAP, display: 'flex', justifyContent: 'space-between', alignItems: 'center'}}>
      <span style={theme.typography.h3}>{input.dashboard.title}</span>
      <span style={{color: theme.colors.text.secondary}}>
        {[...shown, `${utc(input.time.from)} to ${utc(input.time.to)} UTC`].join('  ·  ')}
      </span>
    </div>
  );
}

function replacer(input: Input) {
  return (text: string) => text.replace(/\$(?:\{(\w+)\}|(\w+))/g, (all, braced, bare) => input.variables[braced ?? bare] ?? all);
}

async function draw(): Promise<Report> {
  const input: Input = await (await fetch('/input.json')).json();
  await initPluginTranslations('rootwatch', []);
  const theme = createTheme({colors: {mode: 'dark'}});
  const panels: Panel[] = input.dashboard.panels.flatMap((p: any) => (p.type === 'row' ? p.panels : [p]));
  const problems: string[] = [];
  const tell = (p: Panel, what: string) => problems.push(`panel ${p.id} "${p.title}": ${what}`);
  const ready: Ready[] = [];
  for (const panel of panels) {
    if (!kinds[panel.type]) throw new Error(`panel ${panel.id}: no component for ${panel.type}`);
    fieldProblems(panel).forEach(p => tell(panel, p));
    ready.push({panel, frames: await fieldsOf(panel, framesOf(input.answers[panel.id] ?? []), theme, replacer(input))});
  }
  const height = HEAD + GAP + Math.max(...panels.map(p => p.gridPos.y + p.gridPos.h)) * (ROW + GAP);
  const root = document.getElementById('root')!;
  root.style.cssText = `position: relative; width: ${input.width}px; height: ${height}px`;
  createRoot(root).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={{eventsScope: 'global', eventBus: new EventBusSrv()}}>
        <Board input={input} ready={ready} theme={theme} />
      </PanelContextProvider>
    </ThemeContext.Provider>,
  );
  await settled(root);
  for (const {panel} of ready) {
    const element = root.querySelector(`[data-panel="${panel.id}"]`);
    if (!element) tell(panel, 'was not drawn');
    else cutOff(element).forEach(p => tell(panel, p));
  }
  return {width: input.width, height, drawn: root.querySelectorAll('[data-panel]').length, problems};
}

// settled waits until fonts are there and the page has not changed for half a second: charts are drawn after the
// first layout, icons when they have arrived.
async function settled(root: Element): Promise<void> {
  await new Promise<void>(resolve => {
    let timer = setTimeout(resolve, 500);
    new MutationObserver(() => {
      clearTimeout(timer);
      timer = setTimeout(resolve, 500);
    }).observe(root, {childList: true, subtree: true, attributes: true, characterData: true});
  });
  await document.fonts.ready;
}

window.report = draw();
