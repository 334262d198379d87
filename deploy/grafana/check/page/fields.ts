// Applies a panel's transformations, field configuration and overrides with Grafana's own code. Grafana's
// application registers what that code knows; here it is registered for what the dashboard uses.
import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  dataLinksOverrideProcessor,
  displayNameOverrideProcessor,
  FieldConfigOptionsRegistry,
  getValueFormats,
  identityOverrideProcessor,
  numberOverrideProcessor,
  standardTransformers,
  standardTransformersRegistry,
  stringOverrideProcessor,
  thresholdsOverrideProcessor,
  transformDataFrame,
  unitOverrideProcessor,
  valueMappingsOverrideProcessor,
  type DataFrame,
  type GrafanaTheme2,
} from '@grafana/data';
import {firstValueFrom} from 'rxjs';
import type {Panel} from './input';

const processors: Record<string, any> = {
  unit: unitOverrideProcessor,
  min: numberOverrideProcessor,
  max: numberOverrideProcessor,
  decimals: numberOverrideProcessor,
  displayName: displayNameOverrideProcessor,
  noValue: stringOverrideProcessor,
  color: identityOverrideProcessor,
  thresholds: thresholdsOverrideProcessor,
  mappings: valueMappingsOverrideProcessor,
  links: dataLinksOverrideProcessor,
};

const transformers = [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer];
standardTransformersRegistry.setInit(() =>
  transformers.map(
    t => ({id: t.id, name: t.name, transformation: () => Promise.resolve(t), editor: () => null, imageDark: '', imageLight: ''}) as any,
  ),
);

const units = new Set(getValueFormats().flatMap(c => (c.submenu ?? []).map(f => f.value)));

// registryFor knows the properties that the panel sets; one that Grafana does not have is an error there.
function registryFor(panel: Panel): FieldConfigOptionsRegistry {
  const {defaults, overrides} = panel.fieldConfig;
  const custom = Object.keys(defaults.custom ?? {}).map(k => `custom.${k}`);
  const set = [...Object.keys(defaults).filter(k => k !== 'custom'), ...custom, ...overrides.flatMap(o => o.properties.map(p => p.id))];
  return new FieldConfigOptionsRegistry(() =>
    [...new Set(set)].map(id => {
      const isCustom = id.startsWith('custom.');
      const process = isCustom ? identityOverrideProcessor : processors[id];
      if (!process) throw new Error(`no field option ${id}`);
      const path = isCustom ? id.slice('custom.'.length) : id;
      return {id, path, name: id, isCustom, process, shouldApply: () => true, override: () => null, editor: () => null} as any;
    }),
  );
}

// fieldsOf gives the frames as the panel's visualisation gets them.
export async function fieldsOf(
  panel: Panel,
  frames: DataFrame[],
  theme: GrafanaTheme2,
  replaceVariables: (text: string) => string,
): Promise<DataFrame[]> {
  const transformed = await firstValueFrom(
    transformDataFrame(panel.transformations ?? [], frames, {interpolate: replaceVariables}),
  );
  const fields = applyFieldOverrides({
    data: transformed,
    fieldConfig: panel.fieldConfig as any,
    fieldConfigRegistry: registryFor(panel),
    replaceVariables,
    theme,
    timeZone: 'utc',
  });
  cacheFieldDisplayNames(fields);
  return fields;
}

// fieldProblems tells of what Grafana would show without a word: an unknown unit becomes a suffix.
export function fieldProblems(panel: Panel): string[] {
  const {defaults, overrides} = panel.fieldConfig;
  const named = [defaults.unit, ...overrides.flatMap(o => o.properties.filter(p => p.id === 'unit').map(p => p.value))];
  return named.filter(u => u && !units.has(u) && !/^(suffix|prefix):/.test(u)).map(u => `unit ${u} does not exist`);
}
