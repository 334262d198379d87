// One function for each kind of panel: it hands the fields and the panel's options to the component that Grafana's
// panel of that kind uses. Exemplars are not drawn: their layer is a part of Grafana's application, not of its library.
import {
  applyNullInsertThreshold,
  dateTime,
  FieldType,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  renderTextPanelMarkdown,
  VizOrientation,
  type DataFrame,
  type FieldDisplay,
  type GrafanaTheme2,
  type TimeRange,
} from '@grafana/data';
import {BarGauge, BigValue, TimeSeries, VizRepeater, type UPlotConfigBuilder} from '@grafana/ui';
import {TableNG} from '@grafana/ui/unstable';
import {useLayoutEffect, type ReactElement} from 'react';
import type {Input, Mark, Panel} from './input';

export interface Drawn {
  panel: Panel;
  frames: DataFrame[];
  width: number;
  height: number;
  theme: GrafanaTheme2;
  time: Input['time'];
  marks: Mark[];
  replaceVariables: (text: string) => string;
}

export const kinds: Record<string, (d: Drawn) => ReactElement> = {stat, bargauge, timeseries, table, text};

function displayValues(d: Drawn): FieldDisplay[] {
  return getFieldDisplayValues({
    fieldConfig: d.panel.fieldConfig as any,
    reduceOptions: d.panel.options.reduceOptions,
    replaceVariables: d.replaceVariables,
    theme: d.theme,
    data: d.frames,
    sparkline: d.panel.type === 'stat' && d.panel.options.graphMode !== 'none',
    timeZone: 'utc',
  });
}

function stat(d: Drawn): ReactElement {
  const {options} = d.panel;
  return (
    <VizRepeater
      getValues={() => displayValues(d)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({value, alignmentFactors, width, height, count}) => (
        <BigValue
          value={value.display}
          count={count}
          sparkline={value.sparkline}
          colorMode={options.colorMode}
          graphMode={options.graphMode}
          justifyMode={options.justifyMode}
          textMode={options.textMode}
          alignmentFactors={alignmentFactors}
          disableWideLayout={!options.wideLayout}
          width={width}
          height={height}
          theme={d.theme}
        />
      )}
      width={d.width}
      height={d.height}
      source={d.frames}
      itemSpacing={3}
      renderCounter={0}
      autoGrid
      orientation={options.orientation}
    />
  );
}

function bargauge(d: Drawn): ReactElement {
  const {options} = d.panel;
  return (
    <VizRepeater
      getValues={() => displayValues(d)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({value, alignmentFactors, width, height, orientation, count}) => (
        <BarGauge
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex!)}
          text={options.text}
          displayMode={options.displayMode}
          showUnfilled={options.showUnfilled}
          valueDisplayMode={options.valueMode}
          namePlacement={options.namePlacement}
          alignmentFactors={count > 1 ? alignmentFactors : undefined}
          orientation={orientation}
          itemSpacing={8}
          lcdCellWidth={12}
          width={width}
          height={height}
          theme={d.theme}
        />
      )}
      width={d.width}
      height={d.height}
      source={d.frames}
      itemSpacing={8}
      renderCounter={0}
      minVizWidth={options.minVizWidth}
      minVizHeight={options.minVizHeight}
      maxVizHeight={options.maxVizHeight}
      orientation={options.orientation as VizOrientation}
    />
  );
}

function timeseries(d: Drawn): ReactElement {
  if (d.frames.length === 0) return <div data-empty>{d.panel.fieldConfig.defaults.noValue ?? 'No data'}</div>;
  const from = dateTime(d.time.from * 1000);
  const to = dateTime(d.time.to * 1000);
  const range: TimeRange = {from, to, raw: {from, to}};
  return (
    <TimeSeries
      frames={graphable(d.frames)}
      structureRev={1}
      timeRange={range}
      timeZone="utc"
      width={d.width}
      height={d.height}
      legend={d.panel.options.legend}
      options={d.panel.options}
    >
      {(config: UPlotConfigBuilder) => <Marks config={config} marks={d.marks} theme={d.theme} />}
    </TimeSeries>
  );
}

// graphable does what Grafana's panel does before it draws lines: what is no finite number is a gap, and so is a
// step that Prometheus left out.
function graphable(frames: DataFrame[]): DataFrame[] {
  return frames.map(frame => {
    const finite = {
      ...frame,
      fields: frame.fields.map(f => (f.type === FieldType.number ? {...f, values: f.values.map(v => (Number.isFinite(v) ? v : null))} : f)),
    };
    return applyNullInsertThreshold({frame: finite});
  });
}

// Marks draws the annotations as Grafana does: a dashed line at the time, and a triangle below the axis. It also
// marks a chart whose axis has no range, for then no line was drawn.
function Marks({config, marks, theme}: {config: UPlotConfigBuilder; marks: Mark[]; theme: GrafanaTheme2}): null {
  useLayoutEffect(() => {
    config.addHook('draw', u => {
      const {ctx} = u;
      const ranges = u.series.slice(1).map(s => u.scales[s.scale!]!);
      if (!ranges.every(r => Number.isFinite(r.min) && Number.isFinite(r.max))) u.root.dataset.broken = 'no range';
      const {top, height} = u.bbox;
      for (const mark of marks) {
        const x = u.valToPos(mark.time, 'x', true);
        ctx.save();
        ctx.strokeStyle = ctx.fillStyle = theme.visualization.getColorByName(mark.color);
        ctx.setLineDash([5, 5]);
        ctx.beginPath();
        ctx.moveTo(x, top);
        ctx.lineTo(x, top + height);
        ctx.stroke();
        ctx.beginPath();
        ctx.moveTo(x, top + height);
        ctx.lineTo(x - 4, top + height + 5);
        ctx.lineTo(x + 4, top + height + 5);
        ctx.fill();
        ctx.restore();
      }
    });
  }, [config, marks, theme]);
  return null;
}

function table(d: Drawn): ReactElement {
  const {options, fieldConfig} = d.panel;
  return (
    <TableNG
      data={d.frames[options.frameIndex]!}
      width={d.width}
      height={d.height}
      noHeader={!options.showHeader}
      cellHeight={options.cellHeight}
      sortBy={options.sortBy}
      fieldConfig={fieldConfig as any}
      noValue={fieldConfig.defaults.noValue}
      enableVirtualization={false}
    />
  );
}

function text(d: Drawn): ReactElement {
  const html = renderTextPanelMarkdown(d.replaceVariables(d.panel.options.content));
  return <div className="markdown-html" style={{height: d.height, overflow: 'auto'}} dangerouslySetInnerHTML={{__html: html}} />;
}
