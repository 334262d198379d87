// What the page is given: the dashboard and the answers to its queries, as draw.mjs puts them together.

export interface Target {
  refId: string;
  expr: string;
  format?: string;
  legendFormat?: string;
}

export interface Asked {
  target: Target;
  expr: string;
  stepMs: number;
  answer: {result: Array<{metric: Record<string, string>; values?: Array<[number, string]>; value?: [number, string]}>};
}

export interface Panel {
  id: number;
  type: string;
  title: string;
  description: string;
  gridPos: {x: number; y: number; w: number; h: number};
  fieldConfig: {defaults: Record<string, any>; overrides: Array<{matcher: any; properties: Array<{id: string; value?: any}>}>};
  options: any;
  transformations?: Array<{id: string; options: any}>;
}

export interface Mark {
  time: number;
  color: string;
  name: string;
}

export interface Input {
  width: number;
  dashboard: any;
  time: {from: number; to: number};
  variables: Record<string, string>;
  answers: Record<number, Asked[]>;
  marks: Mark[];
}

// Report is what the page has drawn, and what is wrong with it.
export interface Report {
  width: number;
  height: number;
  drawn: number;
  problems: string[];
}

declare global {
  interface Window {
    __grafana_public_path__: string;
    report: Promise<Report>;
  }
}
