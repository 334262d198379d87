// What Grafana's own types say about a dashboard, put together: their Dashboard leaves the options and the field
// configuration of a panel open, and the types for these stand in a file for each kind of panel. GRAFANA is
// replaced by the package of the version that is checked against.
import type * as g from 'GRAFANA';
import type * as bargauge from 'GRAFANA/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as stat from 'GRAFANA/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as table from 'GRAFANA/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as text from 'GRAFANA/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen';
import type * as timeseries from 'GRAFANA/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// JSON has the values of an enum, not its members.
type Plain<T> = T extends string
  ? string extends T ? string : `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends Array<infer U>
      ? Array<Plain<U>>
      : T extends object
        ? {[K in keyof T]: Plain<T[K]>}
        : T;

interface Link {
  title: string;
  url: string;
  targetBlank?: boolean;
}

// The index signatures of Grafana's types would let every misspelt key pass.
type Known<T> = {[K in keyof T as string extends K ? never : K]: T[K]};

type Defaults<Custom> = Omit<Known<g.FieldConfig>, 'custom' | 'links'> & {links?: Link[]; custom?: Partial<Custom>};

type Property<Custom> =
  | {[K in keyof Required<Defaults<Custom>>]: {id: K; value: Required<Defaults<Custom>>[K]}}[Exclude<
      keyof Defaults<Custom>,
      'custom'
    >]
  | {[K in keyof Required<Custom> & string]: {id: `custom.${K}`; value: Required<Custom>[K]}}[keyof Custom & string];

interface FieldConfig<Custom> {
  defaults: Defaults<Custom>;
  overrides: Array<{matcher: {id: 'byName'; options: string}; properties: Array<Property<Custom>>}>;
}

// The Prometheus data source has its types in a package that is no part of the schema.
interface PromQuery {
  refId: string;
  datasource: g.DataSourceRef;
  editorMode: 'code';
  expr: string;
  range: boolean;
  instant: boolean;
  legendFormat: string;
  exemplar?: boolean;
  format?: 'time_series' | 'table' | 'heatmap';
}

// Options that Grafana 11 does not know and later versions fill in with their default.
type Later<T, Keys extends string> = {[K in keyof T as K extends Keys ? never : K]: T[K]} & {
  [K in keyof T as K extends Keys ? K : never]?: T[K];
};

type Transformation =
  | {id: 'merge'; options: Record<string, never>}
  | {
      id: 'organize';
      options: {
        excludeByName: Record<string, boolean>;
        includeByName: Record<string, boolean>;
        indexByName: Record<string, number>;
        renameByName: Record<string, string>;
      };
    };

// Every panel says what it is for, where it stands and what it shows: here these are not optional.
type Panel<Kind extends string, Options, Custom> = Omit<
  Known<g.Panel>,
  'type' | 'options' | 'fieldConfig' | 'targets' | 'transformations' | 'title' | 'description' | 'gridPos' | 'id'
> & {
  type: Kind;
  id: number;
  title: string;
  description: string;
  gridPos: g.GridPos;
  options: Options;
  fieldConfig: FieldConfig<Custom>;
  targets: PromQuery[];
  transformations?: Transformation[];
};

// Table cells that the dashboard uses; Grafana's union has interfaces that overlap.
type TableCustom = Omit<Known<table.FieldConfig>, 'cellOptions'> & {
  cellOptions: g.TableAutoCellOptions | g.TableColorTextCellOptions;
};

type AnyPanel =
  | Panel<'stat', Later<stat.Options, 'percentChangeColorMode'>, {}>
  | Panel<'bargauge', Later<bargauge.Options, 'legend'>, {}>
  | Panel<'timeseries', timeseries.Options, Known<timeseries.FieldConfig>>
  | Panel<'table', table.Options, TableCustom>
  | Panel<'text', Pick<text.Options, 'mode' | 'content'>, {}>;

// Both have members that only the Prometheus data source knows.
type Variable = Known<g.VariableModel> & {definition?: string};
type Annotation = Omit<Known<g.AnnotationQuery>, 'target'> & {
  target?: Pick<PromQuery, 'refId' | 'expr'> & {interval: string};
  expr?: string;
  step?: string;
  tagKeys?: string;
  titleFormat?: string;
  textFormat?: string;
};

export type Dashboard = Plain<
  Omit<Known<g.Dashboard>, 'panels' | 'annotations' | 'templating' | 'uid' | 'title' | 'description'> & {
    uid: string;
    title: string;
    description: string;
    annotations: {list: Annotation[]};
    templating: {list: Variable[]};
    panels: Array<AnyPanel | Omit<Known<g.RowPanel>, 'panels'> & {panels: never[]}>;
  }
>;
