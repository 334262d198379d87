// Mistakes that the types must refuse. If one of them passes, an expected error is missing and the check fails: so
// nobody has to trust that the types still hold anything.
import type {Dashboard} from './shape';

type Kind<T extends string> = Extract<Dashboard['panels'][number], {type: T}>;
declare const stat: Kind<'stat'>;
declare const series: Kind<'timeseries'>;
declare const table: Kind<'table'>;
declare const board: Dashboard;

// @ts-expect-error an option with a misspelt name
export const option: Kind<'stat'>['options'] = {...stat.options, colourMode: 'value'};
// @ts-expect-error an option with a value that Grafana does not know
export const value: Kind<'stat'>['options'] = {...stat.options, colorMode: 'red'};
// @ts-expect-error a field option that does not exist
export const field: Kind<'stat'>['fieldConfig']['defaults'] = {...stat.fieldConfig.defaults, units: 's'};
// @ts-expect-error a drawing option that does not exist
export const custom: Kind<'timeseries'>['fieldConfig']['defaults']['custom'] = {...series.fieldConfig.defaults.custom, lineWitdh: 2};
// @ts-expect-error an override of something that a table does not have
export const override: Kind<'table'>['fieldConfig']['overrides'][0]['properties'][0] = {id: 'custom.lineWidth', value: 2};
// @ts-expect-error an override with a value of the wrong type
export const decimals: Kind<'table'>['fieldConfig']['overrides'][0]['properties'][0] = {id: 'decimals', value: 'two'};
// @ts-expect-error a threshold without a colour
export const threshold: Kind<'stat'>['fieldConfig']['defaults']['thresholds'] = {mode: 'absolute', steps: [{value: null}]};
// @ts-expect-error a panel of a kind that Grafana no longer has
export const kind: Dashboard['panels'][number] = {...stat, type: 'graph'};
// @ts-expect-error a panel that does not say what it is for
export const silent: Kind<'stat'> = {...stat, description: undefined};
// @ts-expect-error a query that is no Prometheus query
export const query: Kind<'stat'>['targets'][0] = {...stat.targets[0]!, query: 'up'};
// @ts-expect-error a transformation that is not drawn here
export const transformation: Kind<'table'>['transformations'] = [...table.transformations!, {id: 'sortBy', options: {}}];
// @ts-expect-error a variable of a kind that does not exist
export const variable: Dashboard['templating']['list'][0] = {...board.templating.list[0]!, type: 'list'};
