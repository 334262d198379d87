// Makes the data frames that Grafana's Prometheus data source makes from an answer of the HTTP API.
import {createDataFrame, FieldType, renderLegendFormat, type DataFrame} from '@grafana/data';
import type {Asked, Target} from './input';

type Labels = Record<string, string>;

// framesOf gives the frames of a panel; several tables of one panel differ in the name of their value column.
export function framesOf(asked: Asked[]): DataFrame[] {
  const tables = asked.filter(a => a.target.format === 'table').length;
  return asked.flatMap(a =>
    a.target.format === 'table' ? [tableFrame(a, tables > 1 ? `Value #${a.target.refId}` : 'Value')] : seriesFrames(a),
  );
}

function seriesFrames({target, stepMs, answer, expr}: Asked): DataFrame[] {
  return answer.result.map(series => {
    const samples: Array<[number, string]> = series.values ?? [series.value!];
    return createDataFrame({
      refId: target.refId,
      fields: [
        {name: 'Time', type: FieldType.time, values: samples.map(([t]) => t * 1000), config: {interval: stepMs}},
        {
          name: 'Value',
          type: FieldType.number,
          labels: series.metric,
          values: samples.map(([, v]) => number(v)),
          config: {displayNameFromDS: legend(target, series.metric, expr)},
        },
      ],
    });
  });
}

function tableFrame({target, answer}: Asked, valueName: string): DataFrame {
  const columns = [...new Set(answer.result.flatMap(s => Object.keys(s.metric)))].sort();
  return createDataFrame({
    refId: target.refId,
    fields: [
      {name: 'Time', type: FieldType.time, values: answer.result.map(s => s.value![0] * 1000)},
      ...columns.map(name => ({name, type: FieldType.string, values: answer.result.map(s => s.metric[name] ?? '')})),
      {name: valueName, type: FieldType.number, values: answer.result.map(s => number(s.value![1]))},
    ],
  });
}

// number reads a sample; JSON has no infinities, so Prometheus writes them as strings.
function number(text: string): number {
  return text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text);
}

function legend({legendFormat}: Target, labels: Labels, expr: string): string {
  if (legendFormat && legendFormat !== '__auto') return renderLegendFormat(legendFormat, labels);
  const {__name__: name = '', ...rest} = labels;
  const pairs = Object.entries(rest).map(([k, v]) => `${k}="${v}"`);
  return pairs.length ? `${name}{${pairs.join(', ')}}` : name || expr;
}
